"""The package from Python: every option is a flag of the command line. Loads no torch at once."""

from __future__ import annotations

from moises_light.paper import PAPER
from mss_shared.front import Front

_FRONT = Front(PAPER)

load = _FRONT.load
fit = _FRONT.fit
evaluate = _FRONT.evaluate
recipes = _FRONT.recipes
checkpoints = _FRONT.checkpoints
load_recipe = _FRONT.load_recipe
open_pretrained = _FRONT.open_pretrained
save_pretrained = _FRONT.save_pretrained
