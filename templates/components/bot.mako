## What the card and the page of a bot share.
<%def name="badge(instance)">\
<span class="badge ${instance.status.value}" id="status-${instance.id}" data-status-of="${instance.name}">${instance.status.value.capitalize()}</span>\
</%def>

## The buttons that act upon a bot; "back" is the page they stand on. One that makes no sense now says why.
<%def name="actions(instance, choices, back)">
<div class="actions">
% for choice in choices(instance):
<form method="post" action="/dashboard/instances/${instance.id}/${choice.name}" hx-post="/dashboard/instances/${instance.id}/${choice.name}"
 hx-swap="none" hx-sync="this:drop">
<input type="hidden" name="back" value="${back}">
<button class="button" type="submit" id="${choice.name}-${instance.id}"\
% if choice.why_not:
 aria-disabled="true" title="${choice.why_not}" data-why="${choice.why_not}"\
% endif
>${choice.label}<span class="unseen"> ${instance.name}</span></button>
</form>
% endfor
<button class="button danger" type="button" data-opens="delete-${instance.id}" id="ask-delete-${instance.id}">Delete<span class="unseen"> ${instance.name}</span></button>
</div>
<dialog id="delete-${instance.id}" aria-labelledby="delete-title-${instance.id}">
<h2 id="delete-title-${instance.id}">Delete “<bdi>${instance.name}</bdi>”?</h2>
<p>The bot stops, and its data, its settings and its secrets are removed. This cannot be undone.</p>
<form method="post" action="/dashboard/instances/${instance.id}/delete"\
% if back == "dashboard":
 hx-post="/dashboard/instances/${instance.id}/delete" hx-swap="none" hx-sync="this:drop"\
% endif
>
<input type="hidden" name="back" value="${back}">
<div class="actions">
<button class="button" type="button" data-closes>Keep it</button>
<button class="button danger" type="submit">Delete this bot</button>
</div>
</form>
</dialog>
</%def>
