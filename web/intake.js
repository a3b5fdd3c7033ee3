// The three ways by which a picture of the user comes in: dropped anywhere, pasted, picked. Calls onpicture(file).

import {byId, toast} from './dom.js';

// Formats that browsers do not name as image/*, by their ending. The server judges by the bytes.
const kEndings = /\.(heic|heif|avif|tiff?|jpe?g|png|webp|gif)$/i;

const isPicture = (file) => file.type.startsWith('image/') || kEndings.test(file.name) || file.type === '';

export function takePictures(onpicture) {
  const take = (files) => {
    const file = [...files].find(isPicture);
    if (file) onpicture(file);
    else if (files.length) toast('That is not a picture. Give a JPEG, PNG, WebP, GIF, TIFF, HEIC or AVIF file.');
    if (file && files.length > 1) toast('One picture at a time: the first one is searched.');
  };

  const veil = byId('drop');
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');
  let depth = 0;  // dragenter and dragleave come for each element passed
  const veilFor = (change) => { depth = change; veil.hidden = depth <= 0; };
  addEventListener('dragenter', (event) => { if (carriesFiles(event)) { event.preventDefault(); veilFor(depth + 1); } });
  addEventListener('dragleave', (event) => { if (carriesFiles(event)) veilFor(Math.max(0, depth - 1)); });
  addEventListener('dragover', (event) => { if (carriesFiles(event)) { event.preventDefault(); event.dataTransfer.dropEffect = 'copy'; } });
  addEventListener('drop', (event) => {
    veilFor(0);
    if (!carriesFiles(event)) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });

  addEventListener('paste', (event) => {
    const files = event.clipboardData?.files ?? [];
    if (files.length === 0) return;  // text into the filter
    event.preventDefault();
    take(files);
  });

  const field = byId('file');
  byId('pick').addEventListener('click', () => field.click());
  field.addEventListener('change', () => { take(field.files); field.value = ''; });
}
