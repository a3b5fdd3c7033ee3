// What the user changes in the collection: takes a file of his into it, or takes a picture out of it. Both unfold in
// place, ask once, and say below the button what went wrong.

import {addFile, boards, removeImage} from './api.js';
import {el} from './dom.js';

// A button that unfolds to `form`, which a button of it submits: act() does the work, done(answer) comes after it.
function unfolding(label, {className, form, act, done}) {
  const trouble = el('p', {class: 'trouble', role: 'alert', hidden: true});
  const open = el('button', {type: 'button', class: `plain ${className}`, 'aria-expanded': 'false'}, label);
  const host = el('div', {class: 'change'}, open, form);
  const fold = (folded) => {
    open.hidden = !folded;
    form.hidden = folded;
    trouble.hidden = true;
  };
  form.append(trouble);
  form.querySelector('.never').addEventListener('click', () => { fold(true); open.focus(); });
  open.addEventListener('click', () => { fold(false); form.querySelector('input, .never').focus(); });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const submit = form.querySelector('.primary');
    submit.disabled = true;
    trouble.hidden = true;
    try {
      done(await act());
    } catch (error) {
      if (error.name === 'AbortError') return;
      trouble.textContent = error.message;
      trouble.hidden = false;
    } finally {
      submit.disabled = false;
    }
  });
  fold(true);
  return host;
}

const buttons = (yes, no) => el('p', {class: 'actions'}, el('button', {class: 'primary'}, yes), el('button', {type: 'button', class: 'plain never'}, no));

// For a file that the collection does not have. onadded(answer) is told what the server said.
export function adding(file, onadded) {
  const words = el('input', {name: 'description', maxlength: '1000', autocomplete: 'off', placeholder: 'What it shows'});
  const board = el('input', {name: 'board', maxlength: '200', autocomplete: 'off', list: 'known-boards', placeholder: 'None'});
  const known = el('datalist', {id: 'known-boards'});
  let named = new Map();  // title -> board
  boards().then((found) => {
    named = new Map(found.boards.map((one) => [one.title || one.board, one.board]));
    known.replaceChildren(...[...named.keys()].map((title) => el('option', {value: title})));
  }).catch(() => { /* any board may be written all the same */ });
  return unfolding('Add it to the collection', {
    className: 'add',
    form: el('form', {class: 'change-form', 'aria-label': 'Add to the collection'},
             el('label', {}, 'Words', words), el('label', {}, 'Board', board, known), buttons('Add it', 'Cancel')),
    act: () => {
      const title = board.value.trim();
      return addFile(file, {description: words.value.trim(), board: named.get(title) ?? title, board_title: title});
    },
    done: onadded,
  });
}

// For a picture of the collection. onremoved() comes when it is out of it.
export function removing(signature, onremoved) {
  return unfolding('Remove from the collection', {
    className: 'remove',
    form: el('form', {class: 'change-form', 'aria-label': 'Remove from the collection'},
             el('p', {}, 'No search will find it any more. A file that was added from a folder stays where it is.'), buttons('Remove it', 'Keep it')),
    act: () => removeImage(signature),
    done: onremoved,
  });
}
