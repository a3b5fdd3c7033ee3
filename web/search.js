// One search at a time: asks, shows the results with their summary, or says what went wrong. Answers to the last few
// questions are kept, so that Back is instant.

import {searchFile, searchSignature} from './api.js';
import {byId, el} from './dom.js';
import {count, ms, plural} from './format.js';
import {notice, showError} from './notice.js';
import {regionText} from './route.js';
import {ListSource} from './source.js';

const kFirst = 48;    // results asked for at first
const kMost = 1000;   // the server's limit
const kKept = 12;     // answers

export class Search {
  // `grid` shows the results. Callbacks: onanswer(answer, route), onhome(), onclear() to drop the filters.
  constructor(grid) {
    this.grid = grid;
    this.kept = new Map();
    this.abort = null;
    this.stopCountdown = () => {};
    this.onanswer = this.onhome = this.onclear = () => {};
  }

  static key(route) {
    return JSON.stringify([route.signature || `file ${route.upload}`, route.region && regionText(route.region), route.color, route.text, route.board]);
  }

  // Files an answer under the signature that the server gave to an upload.
  keep(route, answer, k = kFirst, all = false) {
    this.kept.set(Search.key(route), {answer, k, all});
    if (this.kept.size > kKept) this.kept.delete(this.kept.keys().next().value);
  }

  // Drops the answers that are kept: the collection has changed.
  forget() { this.kept.clear(); }

  // `file` where the picture is the user's own. Resolves when shown; never rejects.
  async run(route, file, {k = kFirst, tried = 0, all = false} = {}) {
    this.stop();
    const old = this.kept.get(Search.key(route));
    if (old && old.k >= k && (old.all || !all)) { this.#show(old.answer, old.k, route, file, old.all); return; }
    const abort = new AbortController();
    this.abort = abort;
    byId('search').setAttribute('aria-busy', 'true');
    byId('answer-note').replaceChildren();
    try {
      const what = {k, region: route.region, color: route.color, text: route.text, board: route.board, all};
      const answer = file ? await searchFile(file, what, abort.signal) : await searchSignature(route.signature, what, abort.signal);
      if (this.abort !== abort) return;
      byId('search').removeAttribute('aria-busy');
      this.keep(route, answer, k, all);
      this.#show(answer, k, route, file, all);
    } catch (error) {
      if (this.abort !== abort || error.name === 'AbortError') return;
      byId('search').removeAttribute('aria-busy');
      this.#clear();
      this.stopCountdown = showError(byId('answer-note'), error,
          {retry: () => this.run(route, file, {k, tried: tried + 1, all}), home: this.onhome, tried});
    }
  }

  // Ends what is under way.
  stop() {
    this.abort?.abort();
    this.abort = null;
    this.stopCountdown();
    byId('search').removeAttribute('aria-busy');
  }

  // Empties the results: before those of another picture.
  reset() { this.#clear(); byId('answer-note').replaceChildren(); }

  #clear() {
    this.grid.show(new ListSource([]));
    byId('summary').replaceChildren();
    byId('more').replaceChildren();
  }

  #show(answer, k, route, file, all = false) {
    this.onanswer(answer, route);
    const n = answer.results.length;
    const {searched, images} = answer.coverage;
    const t = answer.ms;
    byId('answer-note').replaceChildren();
    byId('summary').replaceChildren(
      el('p', {role: 'status'}, el('b', {}, n ? plural(n, 'result') : 'No results'),
         el('span', {title: `Decode ${ms(t.decode)}, feature ${ms(t.feature)}, search ${ms(t.search)}`}, ms(t.total)),
         el('span', {class: searched < images ? 'partial' : ''}, searched < images ?
             `searched ${count(searched)} of ${count(images)} pictures` : `searched all ${plural(images, 'picture')}`)),
      el('details', {}, el('summary', {}, 'Timing'), el('dl', {class: 'facts-list'},
         ...[['Decode', ms(t.decode)], ['Feature', ms(t.feature)], ['Search', ms(t.search)], ['Total', ms(t.total)],
             ['Coverage', `${count(searched)} of ${count(images)}`], ['Release', answer.release]]
             .map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))))));
    this.grid.show(new ListSource(answer.results));
    const below = answer.ranking?.below_floor ?? 0;
    const anyway = () => this.run(route, file, {k, all: true});
    if (n === 0 && below > 0) {
      byId('answer-note').replaceChildren(notice('empty', 'Nothing here is like it',
        ['The nearest pictures of the collection are probably of something else.'], [['Show them anyway', anyway]]));
    } else if (n === 0) {
      const narrowed = route.text || route.board;
      byId('answer-note').replaceChildren(notice('empty', narrowed ? 'Nothing here matches the filter' : route.color ? 'Nothing in this color' : 'Nothing to compare with yet',
        [narrowed ? 'No picture passes the words and the board.' : route.color ? 'No picture has this color.' : 'The index has no pictures.'],
        narrowed ? [['Clear the filter', this.onclear]] : []));
    }
    byId('more').replaceChildren(n === k && k < kMost ? el('button', {type: 'button', class: 'plain', onclick: (event) => {
      event.target.disabled = true;
      this.run(route, file, {k: Math.min(kMost, k * 4), all});
    }}, 'More results') : n > 0 && below > 0 ? el('button', {type: 'button', class: 'plain', onclick: anyway}, 'Show less probable ones too') : '');
  }
}
