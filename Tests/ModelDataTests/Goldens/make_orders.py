"""The samples that torch's loaders take, epoch by epoch."""

import json
import pathlib

import torch
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

loaders = []
for seed, count in ((0, 10), (5, 1), (123, 37)):
    torch.manual_seed(seed)
    loader = DataLoader(list(range(count)), batch_size=4, shuffle=True)
    loaders.append({"seed": seed, "count": count, "epochs": [[b.tolist() for b in loader] for _ in range(3)]})
generators = []
for seed, count in ((0, 10), (7, 25)):
    generator = torch.Generator().manual_seed(seed)
    loader = DataLoader(list(range(count)), batch_size=4, shuffle=True, generator=generator, drop_last=True)
    generators.append({"seed": seed, "count": count, "epochs": [[b.tolist() for b in loader] for _ in range(3)]})
ranks = []
for count, world in ((10, 3), (2, 5), (12, 4), (11, 2)):
    for drop in (False, True):
        for shuffle in (False, True):
            for rank in range(world):
                sampler = DistributedSampler(range(count), world, rank, shuffle=shuffle, seed=3, drop_last=drop)
                sampler.set_epoch(2)
                ranks.append({"count": count, "world": world, "rank": rank, "drop": drop, "shuffle": shuffle, "samples": list(sampler)})
pathlib.Path(__file__).with_name("orders.json").write_text(json.dumps({"loaders": loaders, "generators": generators, "ranks": ranks}) + "\n")
