"""About: the idea, the objective on one screen, figures, data and credits, limits. Words only."""
# ruff: noqa: E501 (prose, markup and style sheets)

import html

import gradio as gr

from r2f.ui.painters import Painters, way_back_of
from r2f.ui.words import two

IDEA = two(
    """<p>On a still winter night, water in the air settles on a twig and freezes into feathers. It blooms. rime2flower takes that
    word at its word: it looks at a photo of rime and paints the flower in it; and so that nothing is lost on the way, it must be
    able to find back from the painting to the ice.</p>
    <p><em>Everyone can bloom a unique flower; just let yourself bloom.</em></p>""",
    """<p>静夜里，空气中的水汽落在枝头，凝成羽毛，开成花。rime2flower 把“开花”当真：它看着一张雾凇照片，画出其中的花；
    而为了路上什么都不丢失，它必须能从画回到冰。</p>
    <p><em>每个人都能开出独一无二的花；只管绽放。</em></p>""")

HOW = two(
    """<p>Nobody ever photographed the same branch twice, once in ice and once in paint, so there are no pairs to learn from.
    Two painters learn together instead: <b class="petal">bloom</b> turns rime into flowers, <b class="frost">frost</b> turns flowers into
    rime. Two critics each know one kind of picture and say which ones they believe. And after both painters, one after the other, the
    photo must be back. The shipped painters then learned from the pictures of painters before them, too.</p>""",
    """<p>没有人把同一根枝条拍成冰又画成花，所以没有成对的图可学。于是两位画师一起学：<b class="petal">bloom</b> 把雾凇变成花，
    <b class="frost">frost</b> 把花变成雾凇。两位评论家各懂一种图，说出自己信不信。而先后经过两位画师之后，照片必须回来。随附的画师后来还临摹过前几位画师的画。</p>""")

OBJECTIVE = """<div class="objective" role="img" aria-label="The objective: believed by the critics, back after both painters">
<p><var>x</var> {rime}, <var>y</var> {flower}; <var>G</var> = bloom, <var>F</var> = frost; <var>D</var> {critic}</p>
<dl>
<dt>{believed}</dt><dd>E[(<var>D<sub>Y</sub></var>(<var>G</var>(<var>x</var>)) − 1)²] + E[(<var>D<sub>X</sub></var>(<var>F</var>(<var>y</var>)) − 1)²]</dd>
<dt>{back}</dt><dd>+ 5 · (|<var>F</var>(<var>G</var>(<var>x</var>)) − <var>x</var>| + |<var>G</var>(<var>F</var>(<var>y</var>)) − <var>y</var>|)</dd>
<dt>{light}</dt><dd>+ 2 · (light(<var>x</var>, <var>G</var>(<var>x</var>)) + light(<var>y</var>, <var>F</var>(<var>y</var>)))</dd>
<dt>{critics}</dt><dd>½ · (E[(<var>D</var>({real}) − 1)²] + E[<var>D</var>({painted})²])</dd>
</dl></div>"""

DATA = two(
    """<p>The shipped pairs learned from 939 photos of rimed trees (the <i>rime</i> class of the public weather data set, CC0) and 194 flower
    paintings, most by painters long dead: Van Gogh, Monet, Klimt, Manet, Marianne North, Renoir, Japanese prints. None of the photos and paintings is part of the project. The examples are drawn by its own code, but for three photos of window frost from <i>imagecorruptions</i>
    (Apache-2.0).</p>
    <p>The method is CycleGAN: Jun-Yan Zhu, Taesung Park, Phillip Isola, Alexei A. Efros, <i>Unpaired Image-to-Image Translation using
    Cycle-Consistent Adversarial Networks</i>, 2017. The project is free software, Apache-2.0.</p>""",
    """<p>随附的两对学自 939 张雾凇树照片（公开天气数据集的 <i>rime</i> 一类，CC0）和 194 幅花卉画，多数出自早已离世的画家：梵高、莫奈、
    克里姆特、马奈、玛丽安·诺斯、雷诺阿，以及日本版画。这些照片和画都不在本项目之内。示例由项目自己的代码画成，另有三张窗霜照片取自
    <i>imagecorruptions</i>（Apache-2.0）。</p>
    <p>方法是 CycleGAN：Jun-Yan Zhu、Taesung Park、Phillip Isola、Alexei A. Efros，<i>Unpaired Image-to-Image Translation using
    Cycle-Consistent Adversarial Networks</i>，2017。本项目是自由软件，Apache-2.0。</p>""")

LIMITS = two(
    """<ul><li>It changes colour and brushwork, hardly shape: a tree becomes a blossoming tree, not a bouquet.</li>
    <li>White skies become cream or yellow, blue ones turquoise in part; around a tree before a plain sky there may be a
    coloured seam.</li>
    <li>It knows rimed trees under open skies best; plain grey frost and fog stay faint and muddy.</li>
    <li>The way back is measured from the picture you would download. Small strong colours, such as a red car, come back in another colour.</li>
    <li>A part of the photo can hide in the painting as fine texture: that is how such networks find back so well, and it is no
    memory of the ice.</li>
    <li>It learned from pictures whose short side was 256 pixels: in a large photo the brush is fine, so the broad brush works smaller and carries the change up.</li></ul>
    <p>Photos and paintings are deleted here after an hour; what the camera sees is kept nowhere. Nothing is learned from them.</p>""",
    """<ul><li>它改变颜色和笔触，很少改变形状：树会开花，但不会变成花束。</li>
    <li>白色的天空会变成奶油色或黄色，蓝天有一部分会变成青绿色；素净天空前的树，边上可能有一道彩色的缝。</li>
    <li>它最懂晴空下的雾凇树；素净的灰霜和雾只是淡淡的、发浊。</li>
    <li>归途从可下载的画量起。小块的浓色（如一辆红车）归来时会变色。</li>
    <li>照片的一部分会以细纹藏在画里：这类网络因此能找到归途，那不是对冰的记忆。</li>
    <li>它从短边 256 像素的图上学成：大照片里笔触偏细，所以粗笔先画小幅，再把变化放大。</li></ul>
    <p>照片和画作一小时后在此删除；镜头所见不留存。它不会从中学习。</p>""")


def about_tab(painters: Painters) -> None:
    """Put the text into the Blocks around it."""
    gr.HTML(text(painters), elem_id="about")


def text(painters: Painters) -> str:
    objective = OBJECTIVE.format(rime=two("rime", "雾凇"), flower=two("flower", "花"), critic=two("the critics", "评论家"),
                                 believed=two("Believed by the critics", "评论家相信"), back=two("Back after both painters", "经两位画师后归来"),
                                 light=two("Light stays light", "亮处仍亮"), critics=two("Each critic", "每位评论家"),
                                 real=two("real", "真"), painted=two("painted", "画"))
    parts = [(two("The idea", "缘起"), IDEA), (two("How it works", "原理"), HOW + objective), (two("Figures", "数据"), figures(painters)),
             (two("What it learned from, and credits", "学自何处，致谢"), DATA), (two("What it does badly", "它做不好的"), LIMITS)]
    return "".join(f"<section><h2>{title}</h2>{body}</section>" for title, body in parts)


def figures(painters: Painters) -> str:
    """What the pairs on offer are measured to do."""
    rows = []
    for offer in painters.offers().values():
        if found := way_back_of(offer):
            rows.append(f"<tr><th scope='row'>{html.escape(offer.name)}</th><td>{100 * found[0]:.0f} %</td><td>{found[1]:.1f}</td></tr>")
    if not rows:
        return two("<p>This page's pair comes without figures.</p>", "<p>此页的这一对没有附带数据。</p>")
    head = "".join(f"<th scope='col'>{words}</th>" for words in (
        two("Painter", "画师"), two("Structure that comes back", "归来的结构"), two("Colour off by", "色差")))
    note = two("<p>Means over photos it never saw. Structure is SSIM, 100 % where the way back equals the photo; colour is CIEDE2000, where 1 is "
               "the smallest difference an eye can see.</p>",
               "<p>未见过的照片上的平均值。结构为 SSIM，与原照片相同为 100%；颜色为 CIEDE2000，1 是眼睛刚能分辨的差别。</p>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{note}"
