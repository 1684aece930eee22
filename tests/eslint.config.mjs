// The scripts of a page are joined into one, so what a file defines is global to those after it.
export default [
  { files: ["**/*.mjs"], languageOptions: { globals: { document: "readonly", window: "readonly" } }, rules: { "no-undef": "error" } },
  {
    files: ["**/*.js"],
    languageOptions: {
      ecmaVersion: 2022,
      sourceType: "script",
      globals: Object.fromEntries(
        ("document window location history matchMedia setInterval clearInterval console setTimeout navigator atob Blob URL " +
          "URLSearchParams WebSocket MutationObserver ResizeObserver getComputedStyle").split(" ").map((n) => [n, "readonly"]),
      ),
    },
    rules: {
      "no-undef": "error",
      "no-unused-vars": ["error", { vars: "local" }],
      "no-redeclare": ["error", { builtinGlobals: false }],
      "no-implicit-globals": "off",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-restricted-properties": ["error",
        { property: "innerHTML", message: "text of users would become markup" },
        { property: "outerHTML" }, { property: "insertAdjacentHTML" },
      ],
      "no-var": "error",
      "prefer-const": "error",
      "eqeqeq": "error",
      "no-shadow": ["error", { builtinGlobals: false, allow: ["name", "number"] }],
      "no-constant-condition": "error",
      "no-unreachable": "error",
      "no-dupe-keys": "error",
      "no-fallthrough": "error",
      "no-self-compare": "error",
      "no-unused-expressions": "error",
    },
  },
];
