"""The demo set: generated multitrack songs in MUSDB18-HQ layout, built on the user's machine.

`demo_root(SIZES["small"])` builds the set in the user's cache, once, and returns its folder.
Importing this module loads neither torch nor the packages that make the songs; those are needed
only while building.
"""

from mss_demo_songs.build import demo_root, read_manifest
from mss_demo_songs.settings import SIZES, DemoSettings

__all__ = ["SIZES", "DemoSettings", "demo_root", "read_manifest"]
