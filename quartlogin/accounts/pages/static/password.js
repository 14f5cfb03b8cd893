// Adds a "Show password" button to each password field (NIST SP 800-63B-4, 3.1.1.2). Without script there is none.

for (const input of document.querySelectorAll("input[type=password]")) {
  const label = document.querySelector(`label[for="${input.id}"]`);
  const button = document.createElement("button");
  const show = (isShown) => {
    input.type = isShown ? "text" : "password";
    button.textContent = isShown ? "Hide password" : "Show password";
    button.setAttribute("aria-pressed", String(isShown));
  };
  label.id = `${input.id}-label`;
  button.type = "button";
  button.className = "link";
  button.setAttribute("aria-controls", input.id);
  button.setAttribute("aria-describedby", label.id);
  button.addEventListener("click", () => show(input.type === "password"));
  input.form.addEventListener("submit", () => show(false)); // browsers must not remember it as text
  show(false);
  input.after(button);
}
