"""The page: page.py is the whole of it; the rooms are bloom_tab, many_tab, live_tab and about_tab.

painters.py offers pairs and keeps them awake, painting.py and batch.py do the work, cache.py bounds what it leaves behind,
words.py holds the two languages, theme.py and style.py how it looks. The only package that imports Gradio. Imports no Keras:
the painters do, in the background, when they wake.
"""
