#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Golden numbers of tests/analysis from umap-learn, scipy and scikit-learn, into
tests/golden/clustering: points.npy (float32) with true labels, what UMAP and Ward make of them over
five seeds, Ward's linkage of the points themselves, and scores of partitions.

    python3 -m venv venv && venv/bin/pip install umap-learn==0.5.12 scikit-learn scipy
    venv/bin/python tools/dump_clustering.py
"""
import json
import pathlib
import warnings

import numpy as np
import scipy.cluster.hierarchy
import sklearn.metrics
import umap

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "clustering"
CLUSTERS, MEMBERS, DIMENSIONS = 40, (8, 25), 24


def points_and_labels():
    """Groups of groups of unequal width on a sphere, so that no method is right everywhere."""
    random = np.random.default_rng(5)
    families = random.normal(size=(8, DIMENSIONS))
    points, labels = [], []
    for cluster in range(CLUSTERS):
        centre = families[cluster % len(families)] + 0.5 * random.normal(size=DIMENSIONS)
        count = random.integers(*MEMBERS)
        width = random.uniform(0.3, 1.1)
        points.append(centre + width * random.normal(size=(count, DIMENSIONS)))
        labels += [cluster] * count
    points = np.concatenate(points).astype(np.float32)
    order = random.permutation(len(points))
    return points[order], np.array(labels)[order]


def cut(linkage, clusters):
    return scipy.cluster.hierarchy.fcluster(linkage, clusters, "maxclust").tolist()


def scores(labels, clusters):
    metrics = sklearn.metrics
    return {
        "labels": list(map(int, labels)),
        "clusters": list(map(int, clusters)),
        "ami": metrics.adjusted_mutual_info_score(labels, clusters),
        "ari": metrics.adjusted_rand_score(labels, clusters),
        "homogeneity": metrics.homogeneity_score(labels, clusters),
        "completeness": metrics.completeness_score(labels, clusters),
    }


def main():
    warnings.filterwarnings("ignore")
    FOLDER.mkdir(parents=True, exist_ok=True)
    points, labels = points_and_labels()
    np.save(FOLDER / "points.npy", points)
    golden = {"points": {"labels": labels.tolist()}}

    linkage = scipy.cluster.hierarchy.ward(points.astype(np.float64))
    golden["ward"] = {"heights": linkage[:, 2].tolist(), "sizes": linkage[:, 3].astype(int).tolist(),
                      "cut": {k: cut(linkage, k) for k in (2, 7, 40, 200)}}

    # "rare": labels of three points where UMAP ties fifteen, as species and BINs often are.
    rare = golden["ward"]["cut"][200]
    golden["umap"] = {}
    for name, components, truth, clusters in (("narrow", 5, labels, CLUSTERS),
                                              ("paper", 50, labels, CLUSTERS),
                                              ("rare", 50, rare, 200)):
        ami = []
        for seed in range(5):
            reduced = umap.UMAP(n_components=components, metric="cosine",
                                random_state=seed).fit_transform(points)
            found = cut(scipy.cluster.hierarchy.ward(reduced.astype(np.float64)), clusters)
            ami.append(sklearn.metrics.adjusted_mutual_info_score(truth, found))
        golden["umap"][name] = {"components": components, "clusters": clusters, "ami": ami}
        print(name, np.mean(ami), ami)
    golden["curves"] = [dict(zip(("min_dist", "spread", "a", "b"),
                                 (d, s, *map(float, umap.umap_.find_ab_params(s, d)))))
                        for d, s in ((0.1, 1.0), (0.0, 1.0), (0.5, 2.0))]

    random = np.random.default_rng(6)
    coarse = labels // 3
    noisy = np.where(random.random(len(labels)) < 0.3, random.integers(0, 25, len(labels)), labels)
    chance = random.integers(0, 30, len(labels))
    golden["scores"] = [scores(labels, coarse), scores(labels, noisy), scores(labels, chance),
                        scores(coarse, noisy), scores(labels, np.zeros_like(labels)),
                        scores(labels, np.arange(len(labels))), scores([0, 1, 1], [5, 5, 5])]
    (FOLDER / "golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
