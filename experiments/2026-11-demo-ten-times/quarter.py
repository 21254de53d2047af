"""What a quarter of the mixture scores for every stem: quieter, and separated not at all."""

import numpy as np

from mss_shared.datasets import STEMS, open_dataset
from mss_shared.evaluation.protocols import PROTOCOLS, aggregate


def main() -> None:
    """Print dB per stem and their mean, under BSSEval v4's SDR and SI-SDR."""
    tracks = open_dataset("demo").test
    for name in ("bsseval_v4", "si_sdr"):
        protocol = PROTOCOLS[name]
        scores = []
        for track in tracks:
            estimates = np.stack([track.read_mixture() / 4] * len(STEMS))
            rate = track.info.sample_rate
            scores.append(protocol.score(track.read_stems(STEMS), estimates, STEMS, rate))
        found = aggregate(scores, protocol)
        values = [found[stem][protocol.metrics[0]] for stem in STEMS]
        print(protocol.id, [round(value, 2) for value in values], round(float(np.mean(values)), 2))


if __name__ == "__main__":
    main()
