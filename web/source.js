// Where a grid takes its pictures from, a section of kSection at a time.
//
// Both sources have: total (null while unknown), section(s) -> the items or null while not loaded, want([s, ...]) to
// say which sections are needed now, stop(), and onsection(s), onerror(error, seconds until the next try), which the
// grid and the page set.

import {images} from './api.js';

export const kSection = 100;
const kPause = 50;  // ms; while the scrollbar flies, sections that are already gone again are not asked for

// Items that are all here: the results of a search.
export class ListSource {
  constructor(items) {
    this.items = items;
    this.total = items.length;
    this.onsection = () => {};
    this.onerror = () => {};
  }
  section(s) { return this.items.slice(s * kSection, (s + 1) * kSection); }
  want() {}
  stop() {}
}

// The collection, or the part of it that passes `filter` {text, board}, by pages of /v1/images.
export class PagedSource {
  constructor(filter) {
    this.filter = filter;
    this.total = null;
    this.onsection = () => {};
    this.onerror = () => {};
    this.sections = new Map();
    this.loading = new Map();  // s -> AbortController
    this.wanted = [0];
    this.timer = 0;
    this.resumes = 0;          // not before this time, after a failure
    this.stopped = false;
  }

  section(s) { return this.sections.get(s) ?? null; }

  want(list) {
    this.wanted = this.total === null ? [0] : list;
    for (const [s, abort] of this.loading) {
      if (!this.wanted.includes(s)) { abort.abort(); this.loading.delete(s); }
    }
    if (this.timer || this.stopped || this.wanted.every((s) => this.sections.has(s) || this.loading.has(s))) return;
    const wait = Math.max(this.total === null ? 0 : kPause, this.resumes - performance.now());
    this.timer = setTimeout(() => { this.timer = 0; this.#loadWanted(); }, wait);
  }

  // Tries again at once after a failure.
  retry() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.resumes = 0;
    this.#loadWanted();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    for (const abort of this.loading.values()) abort.abort();
    this.loading.clear();
  }

  #loadWanted() {
    for (const s of this.wanted) if (!this.sections.has(s) && !this.loading.has(s)) this.#load(s);
  }

  async #load(s) {
    const abort = new AbortController();
    this.loading.set(s, abort);
    try {
      const page = await images({offset: s * kSection, limit: kSection, ...this.filter}, abort.signal);
      if (this.stopped || this.loading.get(s) !== abort) return;
      this.loading.delete(s);
      this.total ??= page.total;
      // The collection may have changed between two pages: the grid counts on full sections, so fill or cut.
      const length = Math.max(0, Math.min(kSection, this.total - s * kSection));
      const items = page.images.slice(0, length);
      while (items.length && items.length < length) items.push(items[items.length - 1]);
      this.sections.set(s, items);
      this.onsection(s);
    } catch (error) {
      if (this.loading.get(s) === abort) this.loading.delete(s);
      if (error.name === 'AbortError' || this.stopped) return;
      const seconds = error.retryAfter ?? 5;
      this.resumes = performance.now() + seconds * 1000;
      this.onerror(error, seconds);
      this.want(this.wanted);
    }
  }
}
