// The status panel: what is in the collection, which cells (epoch by feature) are computed, what could not be read.

import {status} from './api.js';
import {el, icon} from './dom.js';
import {count, plural} from './format.js';
import {showError} from './notice.js';

const kRows = 200;  // quarantined pictures listed; the rest is counted

// The state of one square: done when all its shards are, missing when none is begun.
function together(cells) {
  if (cells.every((cell) => cell.state === 'done')) return 'done';
  return cells.every((cell) => cell.state === 'missing') ? 'missing' : 'running';
}

// Epochs down, features across, newest epoch first.
function coverage(cells) {
  const features = [...new Set(cells.map((cell) => cell.feature))].sort();
  const epochs = [...new Set(cells.map((cell) => cell.epoch))].sort().reverse();
  const at = new Map();
  for (const cell of cells) {
    const key = `${cell.epoch} ${cell.feature}`;
    at.set(key, [...(at.get(key) ?? []), cell]);
  }
  const square = (epoch, feature) => {
    const found = at.get(`${epoch} ${feature}`);
    if (!found) return el('td', {}, el('span', {class: 'cell none', title: 'No such cell'}, '–'));
    const state = together(found);
    const images = found.reduce((sum, cell) => sum + cell.images, 0);
    const done = found.filter((cell) => cell.state === 'done').length;
    const words = `${state}: ${plural(images, 'picture')}, ${done} of ${plural(found.length, 'shard')} done`;
    return el('td', {}, el('span', {class: `cell ${state}`, title: words}, el('span', {class: 'hidden'}, words), el('span', {'aria-hidden': 'true'}, count(images))));
  };
  return el('div', {class: 'cells-box', tabindex: '0', role: 'region', 'aria-label': 'Cells'}, el('table', {class: 'cells'},
    el('thead', {}, el('tr', {}, el('th', {scope: 'col'}, 'Epoch'), ...features.map((f) => el('th', {scope: 'col', title: f},
      el('span', {}, f.split('/')[0]), el('small', {class: 'muted'}, f.split('/')[1] ?? ''))))),
    el('tbody', {}, ...epochs.map((epoch) => el('tr', {}, el('th', {scope: 'row'}, epoch), ...features.map((f) => square(epoch, f)))))));
}

function fill(body, found) {
  const bad = found.quarantined;
  const done = found.cells.filter((cell) => cell.state === 'done').length;
  body.replaceChildren(
    el('div', {class: 'figures'},
      ...[[count(found.images), found.images === 1 ? 'picture' : 'pictures'],
          [found.release ? count(found.release.images) : '–', 'in the index'],
          [`${count(done)} / ${count(found.cells.length)}`, 'cells done'],
          [count(bad.length), 'not readable']].map(([value, name]) => el('div', {}, el('b', {}, value), el('span', {}, name)))),
    el('section', {}, el('h3', {}, 'Release'), found.release ?
      el('dl', {class: 'facts-list'}, ...[['Name', found.release.name], ['Built', found.release.created], ['Features', found.release.features.join(', ')], ['Program', found.version]]
        .map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value)))) :
      el('p', {class: 'muted'}, 'No index is built yet, so nothing can be searched.')),
    el('section', {}, el('h3', {}, 'Cells'), found.cells.length ? coverage(found.cells) : el('p', {class: 'muted'}, 'No cells yet.'),
      el('p', {class: 'legend muted', 'aria-hidden': 'true'}, ...['done', 'running', 'missing'].map((state) => el('span', {}, el('i', {class: `cell ${state}`}), state)))),
    el('section', {}, el('h3', {}, 'Not readable'), bad.length ?
      el('ul', {class: 'bad'}, ...bad.slice(0, kRows).map((one) => el('li', {}, el('code', {}, one.source), el('span', {}, one.reason)))) :
      el('p', {class: 'muted'}, 'Every picture could be read.'),
      bad.length > kRows && el('p', {class: 'muted'}, `And ${count(bad.length - kRows)} more.`)));
}

// Opens the panel and fills it with the present state.
export async function openStatus(dialog) {
  const body = el('div', {class: 'side-body'}, el('p', {class: 'muted'}, 'Loading…'));
  const close = () => dialog.close();
  dialog.replaceChildren(el('h2', {id: 'status-title'}, 'Status'),
                         el('button', {type: 'button', class: 'round close', 'aria-label': 'Close', onclick: close}, icon('close')), body);
  dialog.onclick = (event) => { if (event.target === dialog) close(); };
  if (!dialog.open) dialog.showModal();
  try {
    fill(body, await status());
  } catch (error) {
    showError(body, error, {retry: () => openStatus(dialog), tried: Infinity});
  }
}
