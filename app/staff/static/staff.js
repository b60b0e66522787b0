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

// A chip puts its words into a field, where the cursor is.
for (const chip of document.querySelectorAll("[data-insert]")) {
  const field = document.getElementById(chip.dataset.into);
  chip.hidden = chip.nextElementSibling.hidden = false;
  chip.addEventListener("click", () => {
    field.setRangeText(chip.dataset.insert, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  });
}

// After a form was refused, the reader is taken to what is wrong.
document.querySelector("[role=alert]")?.scrollIntoView({ block: "center" });

// On a phone the list of sections scrolls sideways: the current one comes into view.
document.querySelector(".sections [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
