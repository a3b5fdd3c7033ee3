// The detail view of one picture: its pixels, why it was found, its pins, its features, and the file's facts.
// Callbacks: onsearch(signature), oncolor(color), onboard(board), onremoved(signature), onclose() when the user closes it.

import {colors, duplicates, image, pixelsAddress, thumbnailAddress} from './api.js';
import {removing} from './change.js';
import {paletteBar} from './color.js';
import {el, foreignLink, icon} from './dom.js';
import {duplicatesOf} from './duplicates.js';
import {bytes, caption, count, percent, score} from './format.js';
import {showError} from './notice.js';
import {partOf} from './outline.js';
import {load, unload} from './picture.js';
import {scoreBar} from './tile.js';

// Formats that browsers show as they are; of the others the server makes a JPEG.
const kShown = new Set(['jpeg', 'png', 'webp', 'gif', 'avif']);

const list = (rows) => el('dl', {class: 'facts-list'},
  ...rows.filter(([, value]) => value).map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));

export class Detail {
  // `compare` shows a picture beside its duplicates.
  constructor(dialog, compare) {
    this.dialog = dialog;
    this.compare = compare;
    this.onsearch = this.oncolor = this.onboard = this.onremoved = this.onclose = () => {};
    this.signature = '';
    this.img = null;
    dialog.addEventListener('close', () => { this.#forget(); if (!this.quiet) this.onclose(); this.quiet = false; });
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });  // the backdrop
  }

  // Opens on a picture. `hit` is the result that it was, with its evidence, or null.
  async open(signature, hit) {
    if (this.dialog.open && this.signature === signature) return;
    this.#forget();
    this.signature = signature;
    const body = el('div', {class: 'detail-body'});
    this.dialog.replaceChildren(
      el('button', {type: 'button', class: 'round close', 'aria-label': 'Close', onclick: () => this.dialog.close()}, icon('close')), body);
    if (!this.dialog.open) this.dialog.showModal();
    const abort = new AbortController();
    this.abort = abort;
    try {
      const found = await image(signature, abort.signal);
      if (this.abort !== abort) return;
      this.#fill(body, found, hit);
      this.#colors(body, signature, abort);
    } catch (error) {
      if (error.name === 'AbortError' || this.abort !== abort) return;
      showError(body, error, {retry: () => { this.signature = ''; this.open(signature, hit); }, tried: Infinity});
    }
  }

  // Closes without telling: the address already says so.
  close() { if (this.dialog.open) { this.quiet = true; this.dialog.close(); } }

  #forget() {
    this.abort?.abort();
    if (this.img) unload(this.img);
    this.img = null;
    this.signature = '';
    this.twins?.reset();
    this.twins = null;
  }

  #fill(body, found, hit) {
    this.img = el('img', {alt: caption(found)});
    this.img.style.aspectRatio = `${found.width} / ${found.height}`;
    const small = () => load(this.img, thumbnailAddress(found.signature, 1024));
    if (kShown.has(found.format)) load(this.img, pixelsAddress(found.signature), () => { if (this.img) small(); });
    else small();

    const e = hit?.evidence;
    body.replaceChildren(
      el('div', {class: 'picture'}, el('span', {class: 'framed'}, this.img, partOf(e))),
      el('div', {class: 'text'},
        el('h2', {id: 'detail-title'}, caption(found)),
        el('p', {class: 'actions'}, el('button', {type: 'button', class: 'primary', autofocus: true, onclick: () => this.onsearch(found.signature)}, 'Search like this')),
        e && el('section', {class: 'why'}, el('h3', {}, 'Why it is here'), scoreBar(hit.score), list([
          ['Bits that differ', e.code_bits && `${count(e.hamming_bits)} of ${count(e.code_bits)}`],
          ['Cosine', e.code_bits && score(e.cosine)],
          ['Probably relevant', e.probability !== undefined && percent(e.probability)],
          ['Goes with the others', e.conformity !== undefined && percent(e.conformity)],
          ['Keypoints that agree', e.tokens && `${count(e.tokens.verified)} of ${count(e.tokens.pairs)}`],
          ['Signals', e.signals && Object.entries(e.signals).filter(([, s]) => s.weight !== 0)
            .map(([name, s]) => `${name} ${score(s.value)} × ${score(s.weight)}`).join(', ')],
          ['Copies', hit.duplicates?.length > 0 && el('span', {}, ...hit.duplicates.map((d) =>
            el('button', {type: 'button', class: 'chip', onclick: () => this.onsearch(d.signature)}, d.signature.slice(0, 8))))],
          ['Color', e.color && `${percent(e.color.match)} of it`], ['Feature', e.feature]])),
        el('section', {class: 'colors', hidden: true}),
        el('section', {}, el('h3', {}, 'Duplicates'), this.#duplicates(found)),
        el('section', {}, el('h3', {}, found.pins.length === 1 ? 'Pin' : `Pins (${count(found.pins.length)})`),
          found.pins.length ? el('ul', {class: 'pins'}, ...found.pins.map((pin) => this.#pin(pin))) : el('p', {class: 'muted'}, 'Nobody pinned it.')),
        el('section', {}, el('h3', {}, 'Features'), found.features.length ?
          el('ul', {class: 'features'}, ...found.features.map((f) => el('li', {}, el('code', {}, f.feature), ' ', el('code', {class: 'muted'}, f.version)))) :
          el('p', {class: 'muted'}, 'None computed yet.')),
        el('section', {}, el('h3', {}, 'File'), list([
          ['Size', `${count(found.width)} × ${count(found.height)} pixels`], ['Format', `${found.format.toUpperCase()}, ${bytes(found.bytes)}`],
          ['First seen', found.epoch], ['Source', found.source], ['Signature', el('code', {}, found.signature)]]),
          removing(found.signature, () => this.onremoved(found.signature)))));
    body.querySelector('.primary').focus({focusVisible: false});
  }

  #duplicates(found) {
    const first = {signature: found.signature, width: found.width, height: found.height, caption: caption(found)};
    this.twins?.reset();
    this.twins = duplicatesOf(() => first, () => duplicates(found.signature, this.abort.signal), this.compare);
    return this.twins.host;
  }

  // The palette comes after the rest; a picture without one has no such section.
  async #colors(body, signature, abort) {
    try {
      const found = (await colors(signature, abort.signal)).colors;
      const host = body.querySelector('.colors');
      if (this.abort !== abort || !found.length) return;
      host.replaceChildren(el('h3', {}, 'Colors'), paletteBar(found, (color) => this.oncolor(color)),
        el('p', {class: 'muted'}, 'Click a color to find everything in it.'));
      host.hidden = false;
    } catch { /* the picture is shown all the same */ }
  }

  #pin(pin) {
    return el('li', {}, pin.description && el('p', {class: 'said'}, pin.description),
      el('p', {class: 'row'},
        pin.board && el('button', {type: 'button', class: 'chip', onclick: () => this.onboard(pin.board)}, pin.board_title || pin.board),
        pin.user && el('span', {class: 'muted'}, `by ${pin.user}`),
        pin.link && foreignLink(pin.link)),
      !pin.description && !pin.board && !pin.link && el('p', {class: 'muted'}, pin.pin));
  }
}
