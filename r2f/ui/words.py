"""The page's words in English and Chinese.

What is a component's own (labels, buttons, tabs) goes through Gradio's `gr.I18n`, by `t`. What is HTML carries both languages, by
`both`, and the style sheet shows the one of the page; so a sentence with figures needs no second trip to the server.
"""

import html
import re

import gradio as gr

WORDS = {  # key: (English, Chinese); {names} are filled in by `both`
    # the rooms
    "room_bloom": ("Bloom", "绽放"),
    "room_many": ("Many photos", "一批照片"),
    "room_live": ("Live", "镜头前"),
    "room_train": ("Train", "训练"),
    "room_about": ("About", "关于"),
    # the triptych
    "rime": ("Rime", "雾凇"),
    "flower": ("Flower", "花"),
    "rime_again": ("Rime again", "重归雾凇"),
    "painting": ("Flower painting", "花卉画"),
    "painting_again": ("Flower again", "重归花卉"),
    "drop_photo": ("Drop a photo of rime\nor touch to choose one", "把雾凇照片放到这里\n或轻触选择"),
    "drop_photo_frost": ("Drop a flower painting\nor touch to choose one", "把花卉画放到这里\n或轻触选择"),
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
    "difference_frost": ("Dark where the way back equals the painting", "越暗，归途与原画作越一致"),
    "take_home": ("Take it home", "带它回家"),
    "get_png": ("The painting · PNG", "画作 · PNG"),
    "get_png_frost": ("The rime · PNG", "雾凇 · PNG"),
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
    "many_files": ("Drop up to {most} photos here, or a zip of them", "把至多 {most} 张照片或一个 zip 放到这里"),
    "many_files_frost": ("Drop up to {most} paintings here, or a zip of them", "把至多 {most} 幅画或一个 zip 放到这里"),
    "many_start": ("Let them bloom", "让它们绽放"),
    "many_start_frost": ("Let them freeze", "让它们凝霜"),
    "many_cancel": ("Stop here", "到此为止"),
    "many_zip": ("All paintings · ZIP", "全部画作 · ZIP"),
    "many_zip_frost": ("All pictures of rime · ZIP", "全部雾凇 · ZIP"),
    "many_csv": ("Figures · CSV", "数据 · CSV"),
    "many_gallery": ("What they bloomed into", "它们开成了"),
    "many_gallery_frost": ("What they froze into", "它们凝成了"),
    # the train room: watching and acting
    "tw_new": ("Train a painter of your own", "训练一位自己的画师"),
    "tw_stop": ("Stop and save", "停下并保存"),
    "tw_stop_now": ("It does not answer: end it", "没有回应：结束它"),
    "tw_resume": ("Go on", "继续"),
    "tw_sample": ("Sample now", "现在出样张"),
    "tw_save": ("Save now", "现在保存"),
    "tw_bloom": ("Bloom with this run", "用它来绽放"),
    "tw_film": ("How it learned · MP4", "学习过程 · MP4"),
    "tw_zip": ("The pair · ZIP", "这一对 · ZIP"),
    "tw_clone": ("A new one like this", "照此新建"),
    "tw_delete": ("Delete…", "删除……"),
    "tw_delete_sure": ("Delete for good", "永久删除"),
    "tw_delete_keep": ("Keep it", "保留"),
    # the train room: a new training
    "ts_source": ("Where are the pictures?", "图片在哪里？"),
    "ts_drawn": ("Drawn by code: to try it without any", "由代码画成：没有图片也能试"),
    "ts_zips": ("Two zips: rime, and flowers", "两个 zip：雾凇和花"),
    "ts_folders": ("Two folders on this machine", "这台机器上的两个文件夹"),
    "ts_prepared": ("A prepared data set", "整理好的数据集"),
    "ts_zip_rime": ("A zip of rime photos", "雾凇照片的 zip"),
    "ts_zip_flowers": ("A zip of flower paintings", "花卉画的 zip"),
    "ts_rime": ("Folder of rime photos", "雾凇照片文件夹"),
    "ts_flowers": ("Folder of flower paintings", "花卉画文件夹"),
    "ts_data": ("Folder with trainA (flowers) and trainB (rime)", "含 trainA（花）和 trainB（雾凇）的文件夹"),
    "ts_look": ("Let the doctor look at them", "请医生看看图片"),
    "ts_look_again": ("Look again", "再看一次"),
    "ts_look_cancel": ("Stop looking", "不看了"),
    "ts_prepare": ("Make a clean data set of them", "整理成干净的数据集"),
    "ts_sheet": ("Contact sheet", "缩略图"),
    "ts_preset": ("Which kind of painter?", "哪一种画师？"),
    "ts_preset_lite": ("lite: small and quick, 128 pixels; learns on two CPU cores in a night",
                       "lite：小而快，128 像素；两个 CPU 核一夜学成"),
    "ts_preset_r2f": ("r2f: large and fine, 256 pixels; wants a GPU", "r2f：大而细，256 像素；需要 GPU"),
    "ts_preset_paper": ("paper: CycleGAN as published in 2017, to compare", "paper：2017 年发表的 CycleGAN，用来对照"),
    "ts_preset_seed": ("seed: the student project of 2023 as it was, to compare", "seed：2023 年的学生项目原样，用来对照"),
    "ts_image_size": ("Side of the crops, pixels", "裁块边长，像素"),
    "ts_steps": ("Steps", "步数"),
    "ts_batch_size": ("Pairs of pictures in a step", "每步的图片对数"),
    "ts_precision": ("Arithmetic", "运算精度"),
    "ts_precision_auto": ("as suits the device", "随设备"),
    "ts_precision_float32": ("float32", "float32（单精度）"),
    "ts_precision_bfloat16": ("bfloat16", "bfloat16（半精度）"),
    "ts_name": ("Name", "名称"),
    "ts_more_settings": ("More settings", "更多设置"),
    "ts_sample_steps": ("Steps between two sample sheets; 0 for none", "样张的间隔步数；0 为不出"),
    "ts_checkpoint_minutes": ("Minutes between two checkpoints", "存档的间隔，分钟"),
    "ts_seed": ("Seed of chance", "随机种子"),
    "ts_start_from": ("Begin with a pair that has learned already", "从已学过的一对开始"),
    "ts_start_none": ("From nothing", "从头开始"),
    "ts_tensorboard": ("Write event files for TensorBoard", "写 TensorBoard 事件文件"),
    "ts_forget": ("Leave them out", "不用它们"),
    "ts_measure": ("Measure how long it takes", "测一测要多久"),
    "ts_go": ("Begin to learn", "开始学习"),
}

SENTENCES = {  # the same for what only ever appears in HTML
    "waking": ("The painter is waking up…", "画师正在醒来……"),
    "ready": ("The painter is ready.", "画师准备好了。"),
    "paints_now": ("{name} paints from now on.", "现在由 {name} 来画。"),
    "no_photo": ("Please choose a photo of rime first, or one of the examples.", "请先选一张雾凇照片，或从下面的例子开始。"),
    "no_painting": ("Please choose a flower painting first, or one of the examples.", "请先选一幅花卉画，或从下面的例子开始。"),
    "figures": ("{structure} % of the structure came back; colours moved by {colour}.",
                "{structure}% 的结构回来了；颜色移动了 {colour}。"),
    "figures_hint_frost": ("1 is the smallest difference of colour an eye can see; the rime itself is {away} away.",
                           "1 是眼睛刚能分辨的色差；雾凇与画作相差 {away}。"),
    "figures_hint": ("1 is the smallest difference of colour an eye can see; the painting itself is {away} away.",
                     "1 是眼睛刚能分辨的色差；画作与照片相差 {away}。"),
    "on_its_way": ("What you brought is on its way; the painter begins as soon as it is here.",
                   "你带来的还在路上；一到，画师就动笔。"),
    "painting_now": ("The painter is painting…", "画师正在画……"),
    "still_painting": ("The painter is still at it…", "画师还在画……"),
    "not_painted": ("This could not be painted; please try again.", "没能画成；请再试一次。"),
    "gone": ("This flower has wilted: pictures are kept here for an hour. Bloom it again.",
             "这朵花已经谢了：图片在这里只保留一小时。请再绽放一次。"),
    "link_copied": ("The link is copied; it opens this flower for an hour.", "链接已复制；一小时内可打开这朵花。"),
    "many_none": ("Please choose some photos first.", "请先选几张照片。"),
    "many_none_frost": ("Please choose some paintings first.", "请先选几幅画。"),
    "many_too_many": ("At most {most} photos at once, please; these are {given}.", "一次至多 {most} 张；这里有 {given} 张。"),
    "many_too_many_frost": ("At most {most} paintings at once, please; these are {given}.",
                            "一次至多 {most} 幅；这里有 {given} 幅。"),
    "many_busy": ("Many people are blooming right now; please try again in a few minutes.", "现在绽放的人很多；请几分钟后再试。"),
    "many_waiting": ("Batches before this one: {before}.", "前面的批数：{before}。"),
    "many_progress": ("{done} of {total}, about {eta} to go.", "{done} / {total}，大约还要 {eta}。"),
    "many_stopping": ("{done} of {total}; it stops after this photo.", "{done} / {total}；画完这张就停。"),
    "many_stopping_frost": ("{done} of {total}; it stops after this painting.", "{done} / {total}；这幅凝霜后就停。"),
    "many_done": ("{good} of {total} photos bloomed in {seconds} s.", "{total} 张照片中 {good} 张已绽放，用时 {seconds} 秒。"),
    "many_done_frost": ("{good} of {total} paintings froze in {seconds} s.",
                        "{total} 幅画中 {good} 幅已凝霜，用时 {seconds} 秒。"),
    "many_stopped": ("Stopped; {good} of {total} photos had bloomed.", "已停下；{total} 张照片中 {good} 张已绽放。"),
    "many_stopped_frost": ("Stopped; {good} of {total} paintings had frozen.", "已停下；{total} 幅画中 {good} 幅已凝霜。"),
    "many_gone": ("Those pictures are gone: they are kept here for an hour.", "那些图片已经不在了：这里只保留一小时。"),
    "live_idle": ("What it sees blooms as fast as the painter can, and is kept nowhere.",
                  "镜头所见随画师的速度绽放，不留存。"),
    # the train room: what a run does, and how it ended
    "tw_none": ("No training yet. What you start shows here, and goes on when this page is closed.",
                "还没有训练。开始之后会显示在这里；关掉此页，它也会继续。"),
    "tw_gone": ("There is no run of this name any more.", "已经没有这个名字的训练了。"),
    "tw_queued": ("Waits until the device is free.", "等待设备空闲。"),
    "tw_queued_behind": ("Waits for {ahead}.", "等待 {ahead} 先完成。"),
    "tw_starting": ("Starting: it reads the pictures and prepares the first step.", "正在开始：读取图片，准备第一步。"),
    "tw_training": ("Training; it goes on when this page is closed.", "正在训练；关掉此页也会继续。"),
    "tw_stopping": ("Stopping: it ends its step and saves.", "正在停下：走完这一步并保存。"),
    "tw_stopped": ("Stopped at step {step}, {saved}.", "停在第 {step} 步，{saved}。"),
    "tw_finished": ("Finished: all {step} steps are done.", "完成：全部 {step} 步。"),
    "tw_failed": ("Failed at step {step}, {saved}.", "在第 {step} 步失败，{saved}。"),
    "tw_interrupted": ("Interrupted at step {step}, {saved}.", "在第 {step} 步中断，{saved}。"),
    "tw_last": ("last checkpoint {step}", "最近的存档在第 {step} 步"),
    "tw_unsaved": ("no checkpoint", "没有存档"),
    "tw_silent": ("No sign of life for {age}; its machine may be asleep or its disk slow.",
                  "已有 {age} 没有动静；机器可能休眠，或磁盘很慢。"),
    "tw_long_step": ("This step has taken {age} so far.", "这一步已用 {age}。"),
    "tw_asked_sample": ("A sample comes after this step.", "走完这一步就出样张。"),
    "tw_asked_save": ("It saves after this step.", "走完这一步就保存。"),
    "tw_not_training": ("It is not training right now.", "它现在没有在训练。"),
    "tw_busy": ("It is running; stop it first.", "它还在运行；请先停下。"),
    "tw_quality": ("What it can do, measured on pictures it never saw; the higher the score, the better.",
                   "用未见过的图片量出的本领；评分越高越好。"),
    "tw_unmeasured": ("Quality is not measured: no pictures are held out. Make a clean data set first; that holds some out.",
                      "未测本领：没有留出的图片。请先整理出干净的数据集；那样会留出一些。"),
    "tw_board": ("To see it in TensorBoard:", "在 TensorBoard 中查看："),
    # the train room: what there is to say about a new training
    "ts_pictures": ("The pictures", "图片"),
    "ts_painter": ("The painter", "画师"),
    "ts_drawn_hint": ("200 photos of rime and 200 flower paintings, drawn by this program. Good for seeing that everything "
                      "works; what is learned from them stays a toy.",
                      "本程序画成的 200 张雾凇和 200 幅花卉画。适合看看一切是否正常；学到的只是玩具。"),
    "ts_zips_hint": ("Each holds one folder of pictures. They are unpacked here, and stay.",
                      "每个 zip 里是一个图片文件夹。会在这里解开并保留。"),
    "ts_folders_hint": ("As this machine calls them. Of several folders inside, the one named rime or flower-painting is taken.",
                        "用这台机器上的路径。若里面有几个文件夹，就取名为 rime 或 flower-painting 的那个。"),
    "ts_prepared_hint": ("testA and testB, if they are there, are for the samples and for measuring quality.",
                         "若有 testA 和 testB，就用它们出样张、测本领。"),
    "ts_whole": ("Please give a whole number from {least} to {most}.", "请填 {least} 到 {most} 之间的整数。"),
    "ts_multiple": ("Please give a multiple of 4 from {least} to {most}.", "请填 {least} 到 {most} 之间 4 的倍数。"),
    "ts_minutes": ("Please give {least} to {most} minutes.", "请填 {least} 到 {most} 分钟。"),
    "ts_name_bad": ("Please use up to 64 letters, digits, blanks, dots, dashes and underscores, beginning with a letter or a "
                    "digit.", "请用至多 64 个文字、数字、空格、点、短横和下划线，以文字或数字开头。"),
    "ts_name_taken": ("There is a {name} already; {free} is free.", "已经有 {name}；{free} 可用。"),
    "ts_folder_empty": ("Please name a folder of pictures.", "请给出一个图片文件夹。"),
    "ts_same_folder": ("This is the folder of the rime photos; please name another.", "这是雾凇照片的文件夹；请换一个。"),
    "ts_zips_first": ("Please bring both zips first.", "请先放入两个 zip。"),
    "ts_zip_other": ("Now the other zip.", "再放另一个 zip。"),
    "ts_not_prepared": ("{path} has no trainA and trainB with pictures; name the folder that holds both.",
                        "{path} 里没有带图片的 trainA 和 trainB；请给出包含两者的文件夹。"),
    "ts_no_pair": ("There is no pair {pair} here any more; choose another.", "这里已没有 {pair}；请另选。"),
    "ts_other_shape": ("{pair} has generators of another shape; choose the preset {fits}, or begin without a pair.",
                       "{pair} 的生成器形状不同；请选预设 {fits}，或不从画师开始。"),
    "ts_no_shape": ("{pair} has generators that no preset here has; begin without a pair.",
                    "{pair} 的生成器与这里的预设都不同；请不从画师开始。"),
    "ts_waiting": ("The doctor has other pictures before these…", "医生还在看别的图片……"),
    "ts_unpacking": ("Unpacking: {done} of {total}.", "正在解开：{done} / {total}。"),
    "ts_looking": ("The doctor looks: {done} of {total} pictures.", "医生在看：{done} / {total} 张。"),
    "ts_preparing": ("Making a clean data set: {done} of {total} pictures.", "正在整理数据集：{done} / {total} 张。"),
    "ts_look_stopped": ("Stopped before the end.", "中途停下了。"),
    "ts_unpacked": ("Unpacked; from now on these folders on this machine are used.",
                    "已解开；以后就用这台机器上的这两个文件夹。"),
    "ts_tidied": ("The clean data set is made, and is used from now on.", "干净的数据集已整理好，以后就用它。"),
    "ts_healthy": ("In good health.", "一切健康。"),
    "ts_few": ("In good health, but few: see what they can teach.", "一切健康，只是太少：请看它们能教会什么。"),
    "ts_unhealthy": ("Can be learned from; some of it is better mended first.", "可以学习；有些最好先处理。"),
    "ts_count_unreadable": ("{count} unreadable", "{count} 张读不出"),
    "ts_count_small": ("{count} too small", "{count} 张太小"),
    "ts_count_grey": ("{count} without colour", "{count} 张无彩色"),
    "ts_count_blank": ("{count} empty", "{count} 张空白"),
    "ts_count_well": ("all sound", "全部完好"),
    "ts_sides": ("short sides {least} to {most}, median {median} pixels", "短边 {least} 到 {most}，中位 {median} 像素"),
    "ts_more": ("and {count} more", "另有 {count} 个"),
    "ts_also": ("Taken over as well: {settings}.", "同时沿用：{settings}。"),
    "ts_cloned": ("The same settings as {name}; change what you like.", "与 {name} 相同的设置；请随意改动。"),
    "ts_clone_gone": ("The settings of {name} can't be read any more.", "{name} 的设置已读不出。"),
    "ts_device": ("Device", "设备"),
    "ts_time": ("Time", "时间"),
    "ts_memory": ("Memory", "内存"),
    "ts_disk": ("Disk", "磁盘"),
    "ts_no_gpu": ("no GPU here: {name}, {cores}", "没有 GPU：{name}，{cores}"),
    "ts_gpu": ("{name}, {memory}", "{name}，{memory}"),
    "ts_device_unknown": ("not looked at yet", "还没有看过"),
    "ts_time_unknown": ("not measured yet", "还没有测过"),
    "ts_time_minute": ("about a minute", "约一分钟"),
    "ts_time_minutes": ("about {count} minutes", "约 {count} 分钟"),
    "ts_time_hours": ("about {count} hours", "约 {count} 小时"),
    "ts_time_days": ("about {count} days", "约 {count} 天"),
    "ts_problem_disk": ("About {needs} of disk are needed and {free} are free; make room, or take fewer steps.",
                        "约需 {needs} 磁盘，只剩 {free}；请腾出空间，或减少步数。"),
    "ts_problem_memory": ("About {needs} of memory are needed and {free} are available; take smaller crops or fewer pairs.",
                          "约需 {needs} 内存，可用 {free}；请减小裁块或每步的对数。"),
    "ts_measuring": ("A few steps are tried out; this takes up to two minutes.", "正在试走几步；至多两分钟。"),
    "ts_moment": ("A moment: this machine is looked at for the first time.", "请稍候：第一次查看这台机器。"),
    "ts_mend": ("Something above can't be used yet; it says so beside the field.", "上面有一处还不能用；旁边有说明。"),
    "ts_look_first": ("The doctor looks at the pictures first; if all is well, it begins by itself.",
                      "医生先看图片；一切正常就会自动开始。"),
    "ts_read_first": ("The doctor has something to say: read it, then press again to begin all the same.",
                      "医生有话说：请读一读，再按一次就照样开始。"),
    "ts_begun": ("{name} has begun. It goes on when this page is closed.", "{name} 已开始。关掉此页也会继续。"),
    "ts_queued": ("{name} waits for {ahead} to end, then begins by itself.", "{name} 排在 {ahead} 之后，到时自动开始。"),
    "ts_crowded": ("{count} trainings wait already; let one of them end first.", "已有 {count} 个训练在等；请先等其中一个结束。"),
    "ts_busy": ("Another training is running under this name; choose another name.", "同名的训练正在运行；请换一个名称。"),
}

_ALL = WORDS | SENTENCES


def translations() -> gr.I18n:
    """For `launch(i18n=…)`: Gradio asks for the browser's own code first, and Chinese comes under several."""
    english, chinese = ({key: pair[place].replace("{most}", "50") for key, pair in WORDS.items()} for place in (0, 1))
    return gr.I18n(**{"en": english, "zh": chinese, "zh-CN": chinese, "zh-TW": chinese})


I18N = translations()


def towards(direction: str, key: str) -> str:
    """The key of the words for that direction: where a painting freezes, some have others."""
    return f"{key}_frost" if direction == "frost" and f"{key}_frost" in _ALL else key


def t(key: str):
    """The words of a component, in the visitor's language. Raises KeyError for a key that there is not."""
    WORDS[key]
    return I18N(key)


def both(key: str, **values) -> str:
    """HTML of a sentence in both languages, of which the style sheet shows one; values are escaped.

    A value that is a tuple is said in two languages itself.
    """
    def said(place):
        words = {name: value[place] if isinstance(value, tuple) else value for name, value in values.items()}
        return _ALL[key][place].format(**{name: html.escape(str(value)) for name, value in words.items()})

    return two(said(0), said(1))


def two(english: str, chinese: str) -> str:
    """HTML of which the style sheet shows one language."""
    return f'<span lang="en">{english}</span><span lang="zh">{chinese}</span>'


def english(key: str, **values) -> str:
    """The sentence for those who read no page: users of the API."""
    return _ALL[key][0].format(**values)


REFUSALS = (  # sentences of `images`, `batch` and `painters`, whose names and numbers are carried over
    ("{name} is a folder; please choose a single picture.", "{name} 是一个文件夹；请选一张图片。"),
    ("{name} is not a file; please choose a picture.", "{name} 不是文件；请选一张图片。"),
    ("{name} cannot be opened; please choose the photo again.", "{name} 打不开；请重新选择照片。"),
    ("{name} is empty; please choose the photo again.", "{name} 是空的；请重新选择照片。"),
    ("{name} is larger than {most} megabytes; please make it smaller first.", "{name} 超过 {most} MB；请先缩小。"),
    ("{name} is in the HEIC format; please save or share it as a JPEG first.", "{name} 是 HEIC 格式；请先存成 JPEG。"),
    ("{name} has {found} megapixels, more than the {most} allowed; please make it smaller first.",
     "{name} 有 {found} 百万像素，上限是 {most}；请先缩小。"),
    ("{name} is only {size} pixels; please choose one of at least {least}.",
     "{name} 只有 {size} 像素；请选至少 {least} 的图片。"),
    ("{name} is too long and narrow ({size} pixels); please crop it first.", "{name} 太狭长（{size} 像素）；请先裁剪。"),
    ("{name} is damaged or not a picture; please choose a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF file.",
     "{name} 已损坏或不是图片；请选择 JPEG、PNG、WebP、AVIF、GIF、BMP 或 TIFF 文件。"),
    ("{name} takes too long to read; please save it anew as a JPEG first.", "{name} 读取太久；请先另存为 JPEG。"),
    ("{name} needs more memory than there is; please make it smaller first.", "{name} 需要的内存太多；请先缩小。"),
    ("{name} is damaged or incomplete; please choose another copy of it.", "{name} 已损坏或不完整；请换一份。"),
    ("{name} holds too many files; please send at most {most} photos.", "{name} 里的文件太多；请至多放 {most} 张照片。"),
    ("{name} is damaged or not a zip; please pack it anew.", "{name} 已损坏或不是 zip；请重新打包。"),
    ("{name} has an entry whose name leads out of it; please pack it anew.", "{name} 里有一个指向包外的文件名；请重新打包。"),
    ("{name} holds a link; please pack the photos themselves.", "{name} 里有一个链接；请放入照片本身。"),
    ("{name} is locked with a password; please pack it without one.", "{name} 有密码；请不加密码打包。"),
    ("{name} is packed in an unusual way; please make a plain zip.", "{name} 的压缩方式不常见；请打成普通 zip。"),
    ("{name} would unpack to far more than it is; please pack photos only.", "{name} 解开后会大得多；请只放照片。"),
    ("{name} holds no pictures.", "{name} 里没有图片。"),
    ("{name} could not be painted.", "{name} 没能画成。"),
    ("The zip is full with {most} gigabytes; please send the other photos as a new batch.",
     "zip 已满（{most} GB）；请把其余照片作为新的一批送来。"),
    ("This batch could not be finished.", "这一批没能画完。"),
    ("This painter is not here any more; please choose another one.", "这位画师已不在这里；请另选一位。"),
    ("The painter can't wake up; its terminal says why.", "画师醒不过来；原因写在终端里。"),
    ("The painter can't wake up: {why}", "画师醒不过来：{why}"),
)
_PATTERNS = [(re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(english)), re.DOTALL), chinese)
             for english, chinese in REFUSALS]


def refusal(error: Exception | str) -> str:
    """A sentence of REFUSALS as HTML in both languages; any other as it is. What a stranger's file name brings is escaped."""
    sentence = str(error)
    for pattern, chinese in _PATTERNS:
        if found := pattern.fullmatch(sentence):
            return two(*(html.escape(each, quote=False) for each in (sentence, chinese.format(**found.groupdict()))))
    return html.escape(sentence, quote=False)
