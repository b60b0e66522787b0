// Asks the device for a passkey and sends its answer with the form; other ways need no script.
"use strict";

{
  const form = document.querySelector("form[data-passkey]");
  const told = form?.querySelector("[data-told]");
  const bytes = (text) => Uint8Array.from(
    atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0),
  );
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  const read = (options) => ({
    ...options,
    challenge: bytes(options.challenge),
    ...(options.user && { user: { ...options.user, id: bytes(options.user.id) } }),
    ...Object.fromEntries(["excludeCredentials", "allowCredentials"].filter((name) => options[name])
      .map((name) => [name, options[name].map((one) => ({ ...one, id: bytes(one.id) }))])),
  });

  const written = (credential) => {
    const { response } = credential;
    const parts = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
    return JSON.stringify({
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      clientExtensionResults: {},
      response: Object.fromEntries(parts.filter((name) => response[name])
        .map((name) => [name, text(response[name])])),
    });
  };

  if (form && window.PublicKeyCredential) {
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      told.textContent = "Your device asks you now.";
      const publicKey = read(JSON.parse(form.dataset.passkey));
      try {
        const credential = await (publicKey.user
          ? navigator.credentials.create({ publicKey })
          : navigator.credentials.get({ publicKey }));
        form.elements.credential.value = written(credential);
        form.submit();
      } catch {
        told.textContent = "Nothing was done. Try again, or take another way.";
      }
    });
  }
}
