"""The other engines on the codes that bench_graph wrote: FAISS, USearch and hnswlib, one thread a search.

    python peers_graph.py FOLDER BITS K

FOLDER holds rows.bin, queries.bin (packed codes) and last.bin (u32: distance of the K-th nearest of each query).
Prints a line of JSON for each setting: engine, setting, recall (tie-aware), queries a second, and the seconds of
processor time that making the index took. Times are of this process's own processor time.
"""

import json
import sys
import time

import numpy as np


def main():
    folder, bits, k = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    only = set(sys.argv[4].split(",")) if len(sys.argv) > 4 else None
    rows = np.fromfile(f"{folder}/rows.bin", dtype=np.uint8).reshape(-1, bits // 8)
    queries = np.fromfile(f"{folder}/queries.bin", dtype=np.uint8).reshape(-1, bits // 8)
    last = np.fromfile(f"{folder}/last.bin", dtype=np.uint32)

    def measure(engine, setting, build_seconds, search):
        search(queries[:20])
        start = time.process_time()
        distances = np.concatenate([search(queries[i : i + 1]) for i in range(len(queries))])
        seconds = time.process_time() - start
        recall = float((distances <= last[:, None]).sum()) / (len(queries) * k)
        print(json.dumps({"engine": engine, "setting": setting, "recall": recall,
                          "queries_per_second": len(queries) / seconds, "build_seconds": build_seconds}), flush=True)

    def wanted(engine):
        return only is None or engine in only

    if wanted("faiss_ivf") or wanted("faiss_hnsw"):
        import faiss

        if wanted("faiss_ivf"):
            faiss.omp_set_num_threads(2)
            start = time.process_time()
            quantizer = faiss.IndexBinaryFlat(bits)
            lists = max(1, min(4096, len(rows) // 64))
            ivf = faiss.IndexBinaryIVF(quantizer, bits, lists)
            ivf.cp.niter = 5
            ivf.train(rows[: 40 * lists])
            ivf.add(rows)
            build = time.process_time() - start
            faiss.omp_set_num_threads(1)
            for probes in (1, 4, 16, 64):
                ivf.nprobe = probes
                measure("faiss_ivf", f"lists={lists} nprobe={probes}", build, lambda q: ivf.search(q, k)[0])
        if wanted("faiss_hnsw"):
            faiss.omp_set_num_threads(2)
            start = time.process_time()
            hnsw = faiss.IndexBinaryHNSW(bits, 16)
            hnsw.hnsw.efConstruction = 100
            hnsw.add(rows)
            build = time.process_time() - start
            faiss.omp_set_num_threads(1)
            for ef in (16, 64, 256):
                hnsw.hnsw.efSearch = ef
                measure("faiss_hnsw", f"M=16 efSearch={ef}", build, lambda q: hnsw.search(q, k)[0])

    if wanted("usearch"):
        from usearch.index import Index

        start = time.process_time()
        index = Index(ndim=bits, metric="hamming", dtype="b1", connectivity=16, expansion_add=100)
        index.add(np.arange(len(rows)), rows, threads=2)
        build = time.process_time() - start
        for ef in (16, 64, 256):
            index.expansion_search = ef

            def ask(q):
                # Fewer than k may come back.
                found = np.full((1, k), 1 << 20)
                distances = np.asarray(index.search(q[0], k, threads=1).distances)
                found[0, : len(distances)] = distances
                return found

            measure("usearch", f"connectivity=16 expansion_search={ef}", build, lambda q: np.concatenate([ask(q[i : i + 1]) for i in range(len(q))]))

    if wanted("hnswlib"):
        import hnswlib

        # hnswlib has no Hamming distance: the squared distance of vectors of 0 and 1 is it.
        start = time.process_time()
        index = hnswlib.Index(space="l2", dim=bits)
        index.init_index(max_elements=len(rows), M=16, ef_construction=100)
        for i in range(0, len(rows), 50000):
            index.add_items(np.unpackbits(rows[i : i + 50000], axis=1).astype(np.float32), num_threads=2)
        build = time.process_time() - start
        index.set_num_threads(1)
        for ef in (16, 64, 256):
            index.set_ef(ef)
            measure("hnswlib", f"M=16 ef={ef}, bits as floats", build,
                    lambda q: index.knn_query(np.unpackbits(q, axis=1).astype(np.float32), k=k)[1])


main()
