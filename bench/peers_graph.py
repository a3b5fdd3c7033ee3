"""The other engines on the codes that bench_graph wrote: FAISS, USearch and hnswlib, one thread a search.

    python peers_graph.py FOLDER BITS K [ENGINES [SECONDS]]

FOLDER holds rows.bin, queries.bin (packed codes) and last.bin (u32: distance of the K-th nearest of each query).
Prints a line of JSON for each setting: engine, setting, recall (tie-aware), queries a second, and the seconds of
processor time that making the index took. Times are of this process's own processor time; an engine is asked all
queries in one call, so that Python does not count. Settings go up until recall is .99. Engines come one after another,
the quickest to make first; one that is not made when SECONDS (480) have passed is given up, with a line that says so.
"""

import json
import sys
import time

import numpy as np

PIECE = 20000  # rows that are added between two looks at the clock


class OutOfTime(Exception):
    pass


def main():
    folder, bits, k = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    only = sys.argv[4] if len(sys.argv) > 4 else "all"
    end = time.monotonic() + (float(sys.argv[5]) if len(sys.argv) > 5 else 480)
    rows = np.fromfile(f"{folder}/rows.bin", dtype=np.uint8).reshape(-1, bits // 8)
    queries = np.fromfile(f"{folder}/queries.bin", dtype=np.uint8).reshape(-1, bits // 8)
    last = np.fromfile(f"{folder}/last.bin", dtype=np.uint32)

    def build(add):
        """Adds the rows a piece at a time; returns the processor time."""
        start = time.process_time()
        for first in range(0, len(rows), PIECE):
            if time.monotonic() > end:
                raise OutOfTime
            add(first, rows[first : first + PIECE])
        return time.process_time() - start

    def sweep(engine, seconds, settings, search):
        """settings: values, ascending. search(value) gives the name of the setting and all distances."""
        for value in settings:
            search(value, queries[:20])
            start = time.process_time()
            setting, distances = search(value, queries)
            took = time.process_time() - start
            recall = float((distances <= last[:, None]).sum()) / (len(queries) * k)
            print(json.dumps({"engine": engine, "setting": setting, "recall": recall,
                              "queries_per_second": len(queries) / took, "build_seconds": seconds}), flush=True)
            if recall >= 0.99:
                return

    def faiss_ivf():
        import faiss

        faiss.omp_set_num_threads(2)
        start = time.process_time()
        quantizer = faiss.IndexBinaryFlat(bits)
        lists = max(1, min(4096, len(rows) // 64))
        index = faiss.IndexBinaryIVF(quantizer, bits, lists)
        index.cp.niter = 5
        index.train(rows[: 40 * lists])
        training = time.process_time() - start
        seconds = training + build(lambda first, piece: index.add(piece))
        faiss.omp_set_num_threads(1)

        def search(probes, asked):
            index.nprobe = probes
            return f"lists={lists} nprobe={probes}", index.search(asked, k)[0]

        sweep("faiss_ivf", seconds, (1, 2, 4, 8, 16, 32, 64), search)

    def faiss_hnsw():
        import faiss

        faiss.omp_set_num_threads(2)
        index = faiss.IndexBinaryHNSW(bits, 16)
        index.hnsw.efConstruction = 100
        seconds = build(lambda first, piece: index.add(piece))
        faiss.omp_set_num_threads(1)

        def search(ef, asked):
            index.hnsw.efSearch = ef
            return f"M=16 efSearch={ef}", index.search(asked, k)[0]

        sweep("faiss_hnsw", seconds, (16, 32, 64, 128, 256), search)

    def usearch():
        from usearch.index import Index

        index = Index(ndim=bits, metric="hamming", dtype="b1", connectivity=16, expansion_add=100)
        seconds = build(lambda first, piece: index.add(np.arange(first, first + len(piece)), piece, threads=2))

        def search(ef, asked):
            index.expansion_search = ef
            matches = index.search(asked, k, threads=1)
            # Fewer than k may come back.
            distances = np.array(matches.distances, dtype=np.float64)
            distances[np.arange(k)[None, :] >= np.asarray(matches.counts)[:, None]] = 1 << 20
            return f"connectivity=16 expansion_search={ef}", distances

        sweep("usearch", seconds, (16, 32, 64, 128, 256), search)

    def hnswlib():
        import hnswlib

        # hnswlib has no Hamming distance: the squared distance of vectors of 0 and 1 is it.
        def floats(packed):
            return np.unpackbits(packed, axis=1).astype(np.float32)

        index = hnswlib.Index(space="l2", dim=bits)
        index.init_index(max_elements=len(rows), M=16, ef_construction=64)
        seconds = build(lambda first, piece: index.add_items(floats(piece), num_threads=2))

        def search(ef, asked):
            index.set_ef(ef)
            return f"M=16 ef={ef}, bits as floats", index.knn_query(floats(asked), k=k, num_threads=1)[1]

        sweep("hnswlib", seconds, (16, 32, 64, 128, 256), search)

    for engine in (faiss_ivf, usearch, faiss_hnsw, hnswlib):
        if only != "all" and engine.__name__ not in only.split(","):
            continue
        try:
            engine()
        except OutOfTime:
            print(json.dumps({"engine": engine.__name__, "given_up": True}), flush=True)


main()
