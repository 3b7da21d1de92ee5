// Copying with a button: by the clipboard, or by hand where the browser gives the page none.

export function copies(button, element, status, words) {
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(element.textContent);
      status.textContent = words;
    } catch {
      getSelection().selectAllChildren(element);
      status.textContent = "Selected: copy it with Ctrl+C or ⌘C.";
    }
  });
}
