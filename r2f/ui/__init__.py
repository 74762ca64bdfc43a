"""The page: page.py is the whole of it, bloom_tab.py where photos bloom, theme.py how it looks.

The only package that imports Gradio. Imports no Keras: the painter does, in the background, when it wakes.
"""
