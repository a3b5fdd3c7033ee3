// The row of boards under the header: the largest as chips, all others in a list. Calls onboard(board), '' for all.

import {el} from './dom.js';
import {count} from './format.js';

const kChips = 24;

export class Boards {
  constructor(host, onboard) {
    this.host = host;
    this.onboard = onboard;
    this.known = [];
    this.asked = false;  // whether the boards are known: until then the row keeps its place, so that nothing jumps
    this.chosen = '';
  }

  fill(boards) { this.known = boards; this.asked = true; this.choose(this.chosen); }

  choose(board) {
    this.chosen = board;
    if (!this.asked && !board) return;
    this.host.hidden = this.known.length < 2 && !board;
    const label = (b) => b.title || b.board;
    const first = this.known.slice(0, kChips);
    const other = this.known.slice(kChips);
    const chosen = this.known.find((b) => b.board === board) ?? {board, title: ''};
    if (board && !first.some((b) => b.board === board)) first.unshift(chosen);
    const chip = (id, name, images) => el('button', {type: 'button', class: 'chip', 'aria-pressed': String(id === board), onclick: () => this.onboard(id)},
                                          name, images !== null && el('small', {}, count(images)));
    const left = this.host.scrollLeft;
    const held = this.host.contains(document.activeElement);
    this.host.replaceChildren(chip('', 'All', null), ...first.map((b) => chip(b.board, label(b), b.images ?? null)));
    if (other.length) {
      const select = el('select', {class: 'chip', 'aria-label': 'More boards'}, el('option', {value: ''}, `${count(other.length)} more boards`),
                        ...other.map((b) => el('option', {value: b.board}, `${label(b)} (${count(b.images)})`)));
      select.addEventListener('change', () => { if (select.value) this.onboard(select.value); });
      this.host.append(select);
    }
    this.host.scrollLeft = left;
    if (held) this.host.querySelector('[aria-pressed=true]')?.focus();
  }
}
