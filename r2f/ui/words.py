"""The page's words in English and Chinese.

What is a component's own (labels, buttons, tabs) goes through Gradio's `gr.I18n`, by `t`. What is HTML carries both languages, by
`both`, and the style sheet shows the one of the page; so a sentence with figures needs no second trip to the server.
"""

import html

import gradio as gr

WORDS = {  # key: (English, Chinese); {names} are filled in by `both`
    # the rooms
    "room_bloom": ("Bloom", "绽放"),
    "room_many": ("Many photos", "一批照片"),
    "room_live": ("Live", "镜头前"),
    "room_about": ("About", "关于"),
    # the triptych
    "rime": ("Rime", "雾凇"),
    "flower": ("Flower", "花"),
    "rime_again": ("Rime again", "重归雾凇"),
    "painting": ("Flower painting", "花卉画"),
    "painting_again": ("Flower again", "重归花卉"),
    "drop_photo": ("Drop a photo of rime\nor touch to choose one", "把雾凇照片放到这里\n或轻触选择"),
    "direction": ("Direction", "方向"),
    "way_bloom": ("A photo blooms", "照片开成花"),
    "way_frost": ("A painting freezes", "画作结成霜"),
    "bloom": ("Bloom", "绽放"),
    "freeze": ("Freeze", "凝霜"),
    "begin": ("Or begin with one of these", "也可以从这些照片开始"),
    "begin_paintings": ("Or freeze one of these", "也可以让这些画结霜"),
    # under the triptych
    "photo_flower": ("Photo ↔ painting", "照片 ↔ 画"),
    "painting_rime": ("Painting ↔ rime", "画 ↔ 雾凇"),
    "painting_way_back": ("Painting ↔ way back", "画 ↔ 归途"),
    "photo_again": ("Photo ↔ way back", "照片 ↔ 归途"),
    "strength": ("How far it has bloomed, %", "绽放的程度，%"),
    "strength_frost": ("How far it has frozen, %", "凝霜的程度，%"),
    "show_difference": ("Where did they part?", "差别在哪里？"),
    "difference": ("Dark where the way back equals the photo", "越暗，归途与原照片越一致"),
    "take_home": ("Take it home", "带它回家"),
    "get_png": ("The painting · PNG", "画作 · PNG"),
    "get_triptych": ("The triptych · PNG", "三联画 · PNG"),
    "get_mp4": ("The film · MP4", "绽放短片 · MP4"),
    "get_webp": ("The film · WebP", "绽放短片 · WebP"),
    "get_link": ("A link to it", "复制链接"),
    "film_seconds": ("Length of the film, seconds", "短片长度，秒"),
    "finer": ("Finer settings", "更多设置"),
    "size": ("Size", "尺寸"),
    "size_512": ("512 pixels, a moment", "512 像素，转瞬"),
    "size_1024": ("1024 pixels", "1024 像素"),
    "size_full": ("As large as the photo", "与照片一样大"),
    "brush": ("Brush", "画笔"),
    "brush_broad": ("Broad", "粗笔"),
    "brush_fine": ("Fine, slower on large photos", "细笔，大图较慢"),
    "pair": ("Painter", "画师"),
    "hub_repo": ("Fetch a painter from the Hugging Face Hub: owner/name", "从 Hugging Face Hub 请一位画师：所有者/名称"),
    "hub_revision": ("Revision: a commit, tag or branch", "版本：提交、标签或分支"),
    "fetch": ("Fetch", "请来"),
    # many photos
    "many_files": ("Up to {most} photos, or a zip of them", "至多 {most} 张照片，或一个 zip"),
    "many_start": ("Let them bloom", "让它们绽放"),
    "many_cancel": ("Stop here", "到此为止"),
    "many_zip": ("All paintings · ZIP", "全部画作 · ZIP"),
    "many_csv": ("Figures · CSV", "数据 · CSV"),
    "many_gallery": ("What they bloomed into", "它们开成了"),
}

SENTENCES = {  # the same for what only ever appears in HTML
    "waking": ("The painter is waking up…", "画师正在醒来……"),
    "ready": ("The painter is ready.", "画师准备好了。"),
    "no_photo": ("Please choose a photo of rime first, or one of the examples.", "请先选一张雾凇照片，或从下面的例子开始。"),
    "no_painting": ("Please choose a flower painting first, or one of the examples.", "请先选一幅花卉画，或从下面的例子开始。"),
    "figures": ("{structure} % of the structure came back; colours moved by {colour}.",
                "{structure}% 的结构回来了；颜色移动了 {colour}。"),
    "figures_hint_frost": ("1 is the smallest difference of colour an eye can see; the rime itself is {away} away.",
                           "1 是眼睛刚能分辨的色差；雾凇与画作相差 {away}。"),
    "figures_hint": ("1 is the smallest difference of colour an eye can see; the painting itself is {away} away.",
                     "1 是眼睛刚能分辨的色差；画作与照片相差 {away}。"),
    "gone": ("This flower has wilted: pictures are kept here for an hour. Bloom it again.",
             "这朵花已经谢了：图片在这里只保留一小时。请再绽放一次。"),
    "link_copied": ("The link is copied; it opens this flower for an hour.", "链接已复制；一小时内可打开这朵花。"),
    "many_none": ("Please choose some photos first.", "请先选几张照片。"),
    "many_too_many": ("At most {most} photos at once, please; these are {given}.", "一次至多 {most} 张；这里有 {given} 张。"),
    "many_busy": ("Many people are blooming right now; please try again in a few minutes.", "现在绽放的人很多；请几分钟后再试。"),
    "many_waiting": ("{before} batches before this one.", "前面还有 {before} 批。"),
    "many_progress": ("{done} of {total}, about {eta} to go.", "{done} / {total}，大约还要 {eta}。"),
    "many_done": ("{good} of {total} photos bloomed in {seconds} s.", "{total} 张照片中 {good} 张已绽放，用时 {seconds} 秒。"),
    "many_stopped": ("Stopped; {good} of {total} photos had bloomed.", "已停下；{total} 张照片中 {good} 张已绽放。"),
    "many_gone": ("Those pictures are gone: they are kept here for an hour.", "那些图片已经不在了：这里只保留一小时。"),
    "live_idle": ("What it sees blooms as fast as the painter can, and is kept nowhere.",
                  "镜头所见随画师的速度绽放，不留存。"),
}

LANGUAGES = ("en", "zh")
_ALL = WORDS | SENTENCES


def translations() -> gr.I18n:
    """For `launch(i18n=…)`: Gradio asks for the browser's own code first, and Chinese comes under several."""
    english, chinese = ({key: pair[place].replace("{most}", "50") for key, pair in WORDS.items()} for place in (0, 1))
    return gr.I18n(**{"en": english, "zh": chinese, "zh-CN": chinese, "zh-TW": chinese})


I18N = translations()


def t(key: str):
    """The words of a component, in the visitor's language. Raises KeyError for a key that there is not."""
    WORDS[key]
    return I18N(key)


def both(key: str, **values) -> str:
    """HTML of a sentence in both languages, of which the style sheet shows one; values are escaped."""
    return two(*(text.format(**{name: html.escape(str(value)) for name, value in values.items()}) for text in _ALL[key]))


def two(english: str, chinese: str) -> str:
    """HTML of which the style sheet shows one language."""
    return f'<span lang="en">{english}</span><span lang="zh">{chinese}</span>'


def english(key: str, **values) -> str:
    """The sentence for those who read no page: users of the API."""
    return _ALL[key][0].format(**values)


CHINESE_REASONS = (  # how images.UnreadablePicture's sentences go on, after the picture's name
    ("is a folder; please choose a single picture", "是一个文件夹；请选一张图片"),
    ("is not a file; please choose a picture", "不是文件；请选一张图片"),
    ("cannot be opened; please choose the photo again", "打不开；请重新选择照片"),
    ("is empty; please choose the photo again", "是空的；请重新选择照片"),
    ("is in the HEIC format; please save or share it as a JPEG first", "是 HEIC 格式；请先存成 JPEG"),
    ("is damaged or not a picture; please choose a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF file",
     "已损坏或不是图片；请选择 JPEG、PNG、WebP、AVIF、GIF、BMP 或 TIFF 文件"),
    ("takes too long to read; please save it anew as a JPEG first", "读取太久；请先另存为 JPEG"),
    ("needs more memory than there is; please make it smaller first", "需要的内存太多；请先缩小"),
    ("is damaged or incomplete; please choose another copy of it", "已损坏或不完整；请换一份"),
)


def refusal(error: Exception) -> str:
    """An UnreadablePicture's sentence as HTML in both languages; it may hold a stranger's file name, which is escaped."""
    sentence = str(error)
    for reason, chinese in CHINESE_REASONS:
        name, found, _ = sentence.partition(f" {reason}")
        if found:
            return two(html.escape(sentence, quote=False), html.escape(f"{name} {chinese}。", quote=False))
    return html.escape(sentence, quote=False)
