// Small conveniences; every page works without them.
"use strict";

// "Listen" reads what is written in a field aloud with the browser's own voice, where it has one.
if ("speechSynthesis" in window) {
  for (const button of document.querySelectorAll("[data-speak]")) {
    const field = (name) => document.getElementById(button.dataset[name]);
    for (const shown of [button, button.nextElementSibling]) if (shown) shown.hidden = false;
    button.addEventListener("click", () => {
      const written = field("speak");
      const words = new SpeechSynthesisUtterance(written.value ?? written.textContent);
      words.lang = written.lang || field("language")?.value
        || field("voice")?.selectedOptions[0].dataset.language || "";
      speechSynthesis.cancel();
      speechSynthesis.speak(words);
    });
  }
}

// "Record" makes a WAV file of what the microphone hears: Twilio plays no WebM. It goes into the
// field for the file, to be uploaded like any other.
const RATE = 16000; // samples a second: more than a telephone carries
const record = document.querySelector("[data-record]");
if (record && navigator.mediaDevices && window.MediaRecorder) {
  const told = document.getElementById("recorded");
  let running = null;
  record.hidden = false;
  record.addEventListener("click", async () => {
    if (running) return running.stop();
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch {
      told.textContent = "Your browser may not use the microphone. Allow it for this page, or upload a file.";
      return;
    }
    const parts = [];
    running = new MediaRecorder(stream);
    running.addEventListener("dataavailable", (event) => parts.push(event.data));
    running.addEventListener("stop", async () => {
      running = null;
      record.textContent = "Record again";
      for (const track of stream.getTracks()) track.stop();
      const bytes = await new Blob(parts).arrayBuffer();
      const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
      const files = new DataTransfer();
      files.items.add(new File([wav(sound)], "recording.wav", { type: "audio/wav" }));
      document.getElementById(record.dataset.record).files = files.files;
      told.textContent = `${Math.max(1, Math.round(sound.duration))} s are recorded. Upload them to listen and to use them.`;
    });
    running.start();
    record.textContent = "Stop";
    told.textContent = "Recording: speak now.";
  });
}

// One channel of 16-bit samples behind the 44 bytes that WAV begins with.
function wav(sound) {
  const samples = sound.getChannelData(0);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const words = (at, text) => [...text].forEach((one, index) => view.setUint8(at + index, one.charCodeAt(0)));
  words(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  words(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * RATE, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  words(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((one, index) => view.setInt16(44 + 2 * index, Math.max(-1, Math.min(1, one)) * 0x7fff, true));
  return view.buffer;
}

// "Copy" puts what is shown once on the clipboard, where the browser lets us.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).value);
      button.textContent = "Copied";
    });
  }
}

// A chip puts its words into the field that is open, where the cursor is.
const offerChips = () => {
  for (const one of document.querySelectorAll("[data-insert], [data-with-chips]")) one.hidden = false;
};
offerChips();
document.addEventListener("htmx:afterSwap", offerChips);
document.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-insert]");
  if (!chip) return;
  const field = chip.dataset.into.split(" ").map((id) => document.getElementById(id)).find((one) => one?.offsetParent);
  field.setRangeText(chip.dataset.insert, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
});

// After a form was refused, the reader is taken to what is wrong.
document.querySelector("[role=alert]")?.scrollIntoView({ block: "center" });

// On a phone the list of sections scrolls sideways: the current one comes into view.
document.querySelector(".sections [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
