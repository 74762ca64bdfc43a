"""rime2flower: a photo of rime blooms into a flower painting, and freezes back."""
