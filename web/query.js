// The panel of the query picture: the picture with its region, what is known of it, and what can be done with it.
// Callbacks: onregion(region or null), oncolor(color or ''), ondetail(), onclose(), onboard(board), onadded(answer).

import {duplicates, duplicatesOfFile, image, thumbnailAddress} from './api.js';
import {adding} from './change.js';
import {ColorTool} from './color.js';
import {el, foreignLink, icon} from './dom.js';
import {duplicatesOf} from './duplicates.js';
import {plural} from './format.js';
import {load, unload} from './picture.js';
import {RegionTool} from './region.js';

export class QueryPanel {
  // `compare` shows the picture beside its duplicates.
  constructor(host, compare) {
    this.host = host;
    this.compare = compare;
    this.onregion = this.oncolor = this.ondetail = this.onclose = this.onboard = this.onadded = () => {};
    this.key = '';
    this.blob = '';
    this.img = el('img', {alt: 'Query picture', draggable: 'false'});
    this.none = el('p', {class: 'unseen muted', hidden: true}, 'Your browser cannot show this file.');
    this.stage = el('div', {class: 'stage'}, this.img, this.none);
    this.tool = new RegionTool(this.stage, (region) => this.#told(region));
    this.hint = el('p', {class: 'hint muted'}, 'Drag on the picture to search for a part of it.');
    this.regionButton = el('button', {type: 'button', class: 'plain', id: 'region-button', 'aria-keyshortcuts': 'r',
                                      onclick: () => this.toggleRegion()}, icon('region'), el('span', {}, 'Select a region'));
    this.detailButton = el('button', {type: 'button', class: 'plain', onclick: () => this.ondetail()}, 'Details');
    this.facts = el('div', {class: 'facts'});
    this.colors = new ColorTool((color) => this.oncolor(color));
    this.swatch = el('div', {class: 'wanted', hidden: true});
    this.twinsBox = el('div');
    this.title = el('h1', {}, 'Looks like this');
    this.frame = el('div', {class: 'frame-box'}, this.stage);
    this.actions = el('div', {class: 'actions'}, this.regionButton, this.detailButton);
    host.append(
      el('div', {class: 'query-head'},
         el('button', {type: 'button', class: 'round', 'aria-label': 'Back to all pictures', title: 'All pictures (Esc)', onclick: () => this.onclose()}, icon('back')),
         this.title),
      this.swatch, this.frame, this.hint, this.actions, this.twinsBox, this.colors.host, this.facts);
    this.img.addEventListener('load', () => { if (!this.tool.size) this.#shape(this.img.naturalWidth, this.img.naturalHeight); });
  }

  // Shows a picture of the collection or a file; `key` names it, the same key again only sets region and color. Without
  // either (key is '') the color alone is the question.
  show(key, {signature, file, region, color}) {
    const alone = !key;
    this.colors.set(color, alone);
    this.title.textContent = alone ? 'In this color' : color ? 'This look, in a color' : 'Looks like this';
    this.swatch.hidden = !alone;
    this.swatch.style.backgroundColor = color;
    for (const part of [this.frame, this.hint, this.actions, this.facts, this.twinsBox]) part.hidden = alone;
    if (alone) { this.leave(); return; }
    if (key !== this.key) {
      this.key = key;
      this.tool.size = null;
      this.none.hidden = true;
      this.host.classList.add('unsized');
      this.img.hidden = false;
      this.facts.replaceChildren();
      unload(this.img);
      URL.revokeObjectURL(this.blob);
      this.blob = file ? URL.createObjectURL(file) : '';
      const unseen = () => { this.img.hidden = true; this.none.hidden = false; };
      if (file) {
        this.img.onerror = unseen;
        this.img.onload = () => this.img.classList.add('ready');
        this.img.src = this.blob;
      } else load(this.img, thumbnailAddress(signature, 1024), unseen);
      this.stage.style.aspectRatio = '';
      this.asking?.abort();
      this.#twins(signature, file);
      if (signature) this.#ask(key, signature, file);
    }
    this.detailButton.hidden = Boolean(file);
    this.#region(region);
  }

  #twins(signature, file) {
    this.twins?.reset();
    this.looking?.abort();
    this.looking = new AbortController();
    const {blob} = this;
    const first = ({query}) => ({...query, caption: file ? file.name : 'the query picture', blob: file ? blob : ''});
    this.twins = duplicatesOf(first, () => (file ? duplicatesOfFile(file, this.looking.signal) : duplicates(signature, this.looking.signal)), this.compare);
    this.twinsBox.replaceChildren(this.twins.host);
  }

  // The size of the upright picture, from the answer: only now is a region exact.
  setSize(width, height) {
    this.#shape(width, height);
    this.host.classList.remove('unsized');
    this.tool.setSize(width, height);
  }

  // The file that is shown has got a name: asks whether the collection knows it.
  rename(signature, file) {
    this.key = signature;
    this.#ask(signature, signature, file);
  }

  toggleRegion() { if (this.tool.region) this.tool.clear(); else this.tool.start(); }
  clearRegion() { this.tool.clear(); }
  get hasRegion() { return this.tool.region !== null; }

  // Forgets the picture and frees it.
  leave() {
    this.key = '';
    this.asking?.abort();
    this.looking?.abort();
    this.twins?.reset();
    unload(this.img);
    URL.revokeObjectURL(this.blob);
    this.blob = '';
    this.tool.set(null);
  }

  #shape(width, height) {
    this.stage.style.aspectRatio = `${width} / ${height}`;
    this.stage.style.setProperty('--shape', String(width / height));
  }

  #told(region) { this.#region(region); this.onregion(region); }

  #region(region) {
    this.tool.set(region);
    this.regionButton.lastChild.textContent = region ? 'Clear the region' : 'Select a region';
    this.hint.textContent = region ? `Searching a part of ${region.width} × ${region.height} pixels.` : 'Drag on the picture to search for a part of it.';
  }

  async #ask(key, signature, file) {
    this.asking = new AbortController();
    try {
      const found = await image(signature, this.asking.signal);
      if (key !== this.key) return;
      this.setSize(found.width, found.height);
      this.detailButton.hidden = false;
      const pin = found.pins[0];
      this.facts.replaceChildren(...[
        file && el('p', {class: 'muted'}, 'The collection has this very picture.'),
        pin?.description && el('p', {class: 'said'}, pin.description),
        el('p', {class: 'muted'}, `${found.width} × ${found.height} · ${plural(found.pins.length, 'pin')}`),
        pin?.board && el('button', {type: 'button', class: 'chip', onclick: () => this.onboard(pin.board)}, pin.board_title || pin.board),
        pin?.link && el('p', {}, foreignLink(pin.link)),
      ].filter(Boolean));
    } catch (error) {  // a file that is not in the collection has no facts; other errors show with the search
      if (key !== this.key || !file || error.status !== 404) return;
      this.facts.replaceChildren(adding(file, (answer) => {
        if (key !== this.key) return;
        this.#ask(key, signature, file);
        this.onadded(answer);
      }));
    }
  }
}
