// The status panel: what is in the collection, which cells (epoch by feature) are computed, who works at the others, and
// what could not be read. While it is open it asks again every two seconds, so that the cells fill while a run goes.

import {status} from './api.js';
import {coverage} from './coverage.js';
import {el, icon} from './dom.js';
import {count, plural} from './format.js';
import {showError} from './notice.js';

const kRows = 200;  // quarantined pictures listed; the rest is counted
const kAgain = 2000;  // milliseconds

const rate = (value) => (value < 10 ? value.toFixed(1) : count(Math.round(value)));

const facts = (rows) => el('dl', {class: 'facts-list'}, ...rows.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));

function figures(found) {
  const done = found.cells.filter((cell) => cell.state === 'done').length;
  return [[count(found.images), found.images === 1 ? 'picture' : 'pictures'],
          [found.release ? count(found.release.images + (found.young?.images ?? 0)) : '–', 'in the index'],
          [`${count(done)} / ${count(found.cells.length)}`, 'cells done'],
          [count(found.quarantined_images), 'not readable']].map(([value, name]) => el('div', {}, el('b', {}, value), el('span', {}, name)));
}

function release(found) {
  if (!found.release) return [el('p', {class: 'muted'}, 'No index is built yet, so nothing can be searched.')];
  return [facts([['Name', found.release.name], ['Built', found.release.created], ['Features', found.release.features.join(', ')],
    ...(found.young?.images ? [['New beside it', plural(found.young.images, 'picture')]] : []), ['Program', found.version]])];
}

// One line for each worker that lives, with the chunk in its hands; a lease without a living worker is one too.
function work(found) {
  const {waiting, leased} = found.queue;
  if (waiting + leased + found.workers.length === 0) return [el('p', {class: 'muted'}, 'Nothing is waiting and nobody works.')];
  const task = new Map(found.tasks.map((one) => [one.worker, one]));
  const lost = found.tasks.filter((one) => !found.workers.some((worker) => worker.name === one.worker));
  const speed = found.workers.reduce((sum, worker) => sum + (task.has(worker.name) ? worker.images_per_second : 0), 0);
  const held = (one) => one && `${one.chunk.split('/').slice(1).join('/')}, attempt ${one.attempt}, lease for ${Math.round(one.lease_seconds_left)} s`;
  return [
    el('p', {}, `${plural(waiting, 'chunk waits', 'chunks wait')}, ${plural(leased, 'is', 'are')} in work${speed > 0 ? `, ${rate(speed)} pictures a second` : ''}.`),
    el('ul', {class: 'workers'},
      ...found.workers.map((worker) => el('li', {class: task.has(worker.name) ? 'busy' : ''}, el('b', {}, worker.name),
        el('span', {class: 'speed'}, task.has(worker.name) ? `${rate(worker.images_per_second)} / s` : 'waits'),
        el('span', {class: 'muted'}, [plural(worker.images, 'picture'), held(task.get(worker.name))].filter(Boolean).join(' · ')))),
      ...lost.map((one) => el('li', {class: 'lost'}, el('b', {}, one.worker), el('span', {class: 'speed'}, 'no sign of life'), el('span', {class: 'muted'}, held(one)))))];
}

function unreadable(found) {
  const bad = found.quarantined;
  if (bad.length === 0) return [el('p', {class: 'muted'}, 'Every picture could be read.')];
  const more = found.quarantined_images - Math.min(bad.length, kRows);
  return [
    el('ul', {class: 'bad'}, ...bad.slice(0, kRows).map((one) => el('li', {}, el('code', {}, one.source),
      el('span', {}, one.attempts > 1 ? `${one.reason} (${one.attempts} attempts)` : one.reason)))),
    more > 0 && el('p', {class: 'muted'}, `And ${count(more)} more.`)].filter(Boolean);
}

// A part of the panel that is drawn anew only when what it shows has changed: what is selected or scrolled stays.
function part(node, facts, draw) {
  let shown = null;
  return (found) => {
    const now = JSON.stringify(facts(found));
    if (now === shown) return;
    shown = now;
    node.replaceChildren(...draw(found));
  };
}

// The panel's sections and the function that brings them up to date.
function sections() {
  const parts = [el('div', {class: 'figures'}), el('div'), el('div'), el('div', {class: 'work'}), el('div')];
  const grid = coverage();
  const updates = [
    part(parts[0], (found) => [found.images, found.release?.images, found.young?.images, found.cells.map((cell) => cell.state), found.quarantined_images], figures),
    part(parts[1], (found) => [found.release, found.young, found.version], release),
    part(parts[3], (found) => [found.queue.waiting, found.queue.leased, found.tasks, found.workers], work),
    part(parts[4], (found) => found.quarantined, unreadable),
  ];
  parts[2].replaceChildren(grid.node);
  const titled = (title, node) => el('section', {}, el('h3', {}, title), node);
  return {
    nodes: [parts[0], titled('Cells', parts[2]), titled('Work', parts[3]), titled('Release', parts[1]), titled('Not readable', parts[4])],
    update(found) {
      for (const update of updates) update(found);
      grid.update(found);
    },
  };
}

// Opens the panel, fills it with the present state, and keeps it so until it is closed.
export async function openStatus(dialog) {
  const body = el('div', {class: 'side-body'}, el('p', {class: 'muted'}, 'Loading…'));
  const stale = el('p', {class: 'stale', role: 'status', hidden: true}, 'The server does not answer; what is shown may be old.');
  const close = () => dialog.close();
  dialog.replaceChildren(el('h2', {id: 'status-title'}, 'Status'),
                         el('button', {type: 'button', class: 'round close', 'aria-label': 'Close', onclick: close}, icon('close')), stale, body);
  dialog.onclick = (event) => { if (event.target === dialog) close(); };
  if (!dialog.open) dialog.showModal();
  const closed = new AbortController();
  dialog.addEventListener('close', () => closed.abort(), {once: true});
  const panel = sections();
  try {
    panel.update(await status(closed.signal));
    body.replaceChildren(...panel.nodes);
  } catch (error) {
    if (!closed.signal.aborted) showError(body, error, {retry: () => openStatus(dialog), tried: Infinity});
    return;
  }
  while (!closed.signal.aborted) {
    await new Promise((resolve) => { setTimeout(resolve, kAgain); });
    if (closed.signal.aborted) return;
    if (document.hidden) continue;
    try {
      panel.update(await status(closed.signal));
      stale.hidden = true;
    } catch {
      stale.hidden = false;
    }
  }
}
