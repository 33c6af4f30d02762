// A token that was just made must be neither made again nor found by reloading the page or going back to it.
history.replaceState(null, "", "/dashboard/account");
window.addEventListener("pageshow", (event) => event.persisted && location.reload());
