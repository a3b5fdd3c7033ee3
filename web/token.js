// The token that a server beyond loopback wants. Asked for once, kept in sessionStorage until the tab is closed.

import {byId} from './dom.js';

const kKey = 'likeness-token';
let kept = sessionStorage.getItem(kKey) ?? '';
let asking = null;

export const token = () => kept;

// Resolves when there is a token other than `refused`, the one that the server just turned down ('' for none).
// Any number of callers share one prompt.
export function ask(refused) {
  if (kept !== refused) return Promise.resolve();
  asking ??= prompt(refused !== '').finally(() => { asking = null; });
  return asking;
}

function prompt(again) {
  const dialog = byId('token');
  const field = byId('token-value');
  if (again) byId('token-text').textContent = 'The server does not accept that token. Look at the first line of the file that it was started with.';
  field.value = '';
  return new Promise((resolve) => {
    const done = () => {
      if (!field.value) { dialog.showModal(); return; }  // Esc: nothing can be shown without a token
      dialog.removeEventListener('close', done);
      kept = field.value.trim();
      sessionStorage.setItem(kKey, kept);
      resolve();
    };
    dialog.addEventListener('close', done);
    if (!dialog.open) dialog.showModal();
    field.focus();
  });
}
