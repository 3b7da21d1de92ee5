// Shows the OpenAPI document in Swagger UI. Tokens that are typed in stay in this page's memory.

window.SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  domNode: document.getElementById("reference"),
  deepLinking: true,
  validatorUrl: null, // it would tell the document's address to another host
});
