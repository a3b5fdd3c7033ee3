// Keys that work anywhere on the page. Those of the grid and of the region are with them.

import {byId} from './dom.js';

const typing = (target) => target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

// `act` has focusGrid(), region(), escape().
export function takeKeys(act) {
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
    if (document.querySelector('dialog[open]')) return;  // dialogs have their own Esc
    if (event.key === 'Escape') { event.preventDefault(); act.escape(event.target); return; }
    if (typing(event.target)) {
      if (event.key === 'ArrowDown' && event.target.id === 'text') { event.preventDefault(); act.focusGrid(); }
      return;
    }
    if (event.key === '/') { event.preventDefault(); byId('text').focus(); byId('text').select(); }
    else if (event.key === '?') { event.preventDefault(); byId('help').showModal(); }
    else if (event.key === 'r' || event.key === 'R') { event.preventDefault(); act.region(); }
    else if (/^Arrow(Down|Right)$/.test(event.key) && (event.target === document.body || event.target.id === 'main')) { event.preventDefault(); act.focusGrid(); }
  });
}
