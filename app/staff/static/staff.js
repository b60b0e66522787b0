// Small conveniences; every page works without them.
"use strict";

// "Listen" reads a message aloud with the browser's own voice, where it has one.
if ("speechSynthesis" in window) {
  for (const button of document.querySelectorAll("[data-speak]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const words = new SpeechSynthesisUtterance(button.dataset.speak);
      if (button.dataset.language) words.lang = button.dataset.language;
      speechSynthesis.cancel();
      speechSynthesis.speak(words);
    });
  }
}

// After a form was refused, the reader is taken to what is wrong.
document.querySelector("[role=alert]")?.scrollIntoView({ block: "center" });

// On a phone the list of sections scrolls sideways: the current one comes into view.
document.querySelector(".sections [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
