"""What a person runs today to average checkpoints as YOLOv5's ModelEMA does: python ema.py IN... OUT, all safetensors"""

import math
import sys

from safetensors.torch import load_file, save_file

*sources, target = sys.argv[1:]
ema = load_file(sources[0])
for updates, source in enumerate(sources[1:], 1):
    decay = 0.9999 * (1 - math.exp(-updates / 2000))
    model = load_file(source)
    for name, value in ema.items():
        if value.is_floating_point():
            value *= decay
            value += (1 - decay) * model[name]
save_file(ema, target)
