// Near-duplicates: the clusters of the collection, and those of one picture. Callbacks: ondetail(signature).

import {duplicateClusters, thumbnailAddress} from './api.js';
import {changes, reversed, verdictMark} from './compare.js';
import {el} from './dom.js';
import {caption, count, plural} from './format.js';
import {notice, showError} from './notice.js';
import {load, unload} from './picture.js';

const kPage = 20;     // clusters
const kAgain = 1000;  // ms between questions while the server looks for them

const side = (item) => ({signature: item.signature, width: item.width, height: item.height, caption: caption(item)});
export const pairsOf = (first, matches) => matches.map((match) => ({first, second: side(match), verdict: match.verdict, score: match.score, evidence: match.evidence}));

function thumb(item) {
  const img = el('img', {alt: '', decoding: 'async', draggable: 'false'});
  const frame = el('span', {class: 'frame'}, img);
  frame.style.setProperty('--shape', String(Math.min(2, Math.max(0.5, item.width / item.height))));
  return {img, frame};
}

// The matches of a picture as a row of buttons; each opens its pair. `seen` collects what must be unloaded.
export function matchRow(first, matches, compare, seen = []) {
  const pairs = pairsOf(first, matches);
  return el('ul', {class: 'matches'}, ...matches.map((match, i) => {
    const {img, frame} = thumb(match);
    load(img, thumbnailAddress(match.signature, 256));
    seen.push(img);
    return el('li', {}, el('button', {type: 'button', class: `match ${match.verdict}`, onclick: () => compare.open(pairs, i),
                                     'aria-label': `Compare with ${caption(match)}: ${match.verdict}, ${changes(match).join(', ')}`},
      frame, verdictMark(match.verdict, match.verdict === 'same' ? 'Same' : 'Similar'), el('span', {class: 'change'}, changes(match).join(', '))));
  }));
}

const split = (matches) => {
  const same = matches.filter((match) => match.verdict === 'same').length;
  return [same && `${count(same)} the same`, matches.length - same && `${count(matches.length - same)} similar`].filter(Boolean).join(', ');
};

// The view of all clusters.
export class Duplicates {
  constructor(host, compare) {
    this.host = host;
    this.compare = compare;
    this.ondetail = this.onhome = () => {};
    this.list = el('ol', {class: 'clusters'});
    this.lead = el('p', {class: 'lead', role: 'status'});
    this.note = el('div');
    this.more = el('div', {class: 'more'});
    host.append(el('div', {class: 'query-head'}, el('h1', {tabindex: '-1'}, 'Duplicates')), this.lead, this.note, this.list, this.more);
    this.seen = [];
  }

  // Loads the first page, unless it is there already.
  async show() {
    if (this.total !== undefined || this.abort) return;
    this.clear();
    await this.#next();
  }

  clear() {
    this.abort?.abort();
    this.abort = null;
    this.stop?.();
    for (const img of this.seen) unload(img);
    this.seen = [];
    this.total = undefined;
    this.list.replaceChildren();
    this.note.replaceChildren();
    this.more.replaceChildren();
    this.lead.textContent = '\u00a0';
  }

  async #next(tried = 0) {
    const abort = new AbortController();
    this.abort = abort;
    this.stop?.();
    this.note.replaceChildren();
    const offset = this.list.childElementCount;
    this.host.setAttribute('aria-busy', 'true');
    try {
      let found = await duplicateClusters({offset, limit: kPage}, abort.signal);
      while (found.state === 'running' && this.abort === abort) {
        this.lead.replaceChildren(`Looking for duplicates: ${count(found.done)} of ${plural(found.images, 'picture')}. `,
                                  el('progress', {value: found.done, max: Math.max(1, found.images), 'aria-label': 'Pictures that were asked'}));
        await new Promise((resolve) => { setTimeout(resolve, kAgain); });
        if (this.abort !== abort || document.hidden) continue;
        found = await duplicateClusters({offset, limit: kPage}, abort.signal);
      }
      if (this.abort !== abort) return;
      this.total = found.total;
      this.list.append(...found.clusters.map((cluster) => this.#cluster(cluster)));
      this.#said(found);
    } catch (error) {
      if (this.abort !== abort || error.name === 'AbortError') return;
      this.abort = null;
      this.lead.textContent = '';
      this.stop = showError(this.note, error, {retry: () => this.#next(tried + 1), home: this.onhome, tried});
    } finally {
      if (this.abort === abort || !this.abort) this.host.removeAttribute('aria-busy');
    }
  }

  #said(found) {
    const n = this.list.childElementCount;
    this.lead.textContent = found.total === 0 ? '' :
        `${plural(found.total, 'photograph is', 'photographs are')} there more than once among ${plural(found.images, 'picture')}. Click a copy to compare it with the largest of its group.`;
    if (found.total === 0) {
      this.note.replaceChildren(notice('empty', 'No duplicates', [`Each of ${plural(found.images, 'picture')} is there once.`], [['All pictures', this.onhome]]));
    }
    this.more.replaceChildren(n < found.total ? el('button', {type: 'button', class: 'plain', onclick: (event) => {
      event.target.disabled = true;
      this.#next();
    }}, `More groups (${count(found.total - n)})`) : '');
  }

  // The evidence of a member has the member as query; here the representative comes first.
  #cluster({representative: image, members}) {
    const matches = members.map((member) => ({...member, evidence: reversed(member.evidence)}));
    const {img, frame} = thumb(image);
    load(img, thumbnailAddress(image.signature, 512));
    this.seen.push(img);
    const first = el('button', {type: 'button', class: 'first', 'aria-label': `Details of ${caption(image)}`, onclick: () => this.ondetail(image.signature)},
      frame, el('span', {class: 'line'}, caption(image)), el('span', {class: 'line small'}, `${count(image.width)} × ${count(image.height)}`));
    return el('li', {class: 'cluster', 'data-signature': image.signature}, first,
      el('div', {}, el('p', {class: 'cluster-said'}, el('b', {}, plural(matches.length + 1, 'picture')), ' of one photograph'),
        matchRow(side(image), matches, this.compare, this.seen)));
  }
}

// What there is of one picture: a button that asks, then the answer. `find(signal)` asks the server.
export function duplicatesOf(first, find, compare) {
  const host = el('div', {class: 'duplicates-of'});
  const seen = [];
  const ask = async () => {
    host.replaceChildren(el('p', {class: 'muted', role: 'status'}, 'Looking for duplicates…'));
    try {
      const found = await find();
      const {matches} = found;
      host.replaceChildren(el('p', {role: 'status'}, matches.length ? el('b', {}, split(matches)) : 'No other picture is the same or similar.'),
                           ...(matches.length ? [matchRow(first(found), matches, compare, seen)] : []));
    } catch (error) {
      if (error.name !== 'AbortError') showError(host, error, {retry: ask, tried: Infinity});
    }
  };
  const again = () => {
    for (const img of seen.splice(0)) unload(img);
    host.replaceChildren(el('button', {type: 'button', class: 'plain', onclick: ask}, 'Look for duplicates'));
  };
  again();
  return {host, reset: again};
}

