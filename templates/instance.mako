<%inherit file="signed_in.mako"/>
<%namespace name="bot" file="components/bot.mako"/>
<%namespace name="engine" file="components/engine.mako"/>
<%namespace name="help" file="components/help.mako"/>
<%namespace name="logs" file="components/logs.mako"/>
<%block name="title">${instance.name}</%block>
<%block name="scripts">
<link rel="stylesheet" href="${static('instance.css')}">
<link rel="stylesheet" href="${static('logs.css')}">
<script src="${static('live.js')}" type="module"></script>
<script src="${static('copy.js')}" type="module"></script>
<script src="${static('log_search.js')}" type="module"></script>
<script src="${static('logs.js')}" type="module"></script>
</%block>
<p class="way-back"><a href="/dashboard">Back to Dashboard</a> <span class="aside needs-script" data-updated>Updated just now</span></p>
<%block name="live">
<%
    own = f"/dashboard/instances/{instance.id}"
    runs = instance.status == "running"
%>
<div id="live" class="live${' stale' if silent_since or is_old else ''}" hx-ext="morph" hx-get="${own}${'?activity=all' if everything else ''}" hx-trigger="refresh, changed from:body" hx-swap="morph:outerHTML" hx-sync="this:replace" data-changing="${int(changing)}"
 data-status="${instance.status.value}" data-container="${(instance.container_id or '')[:12]}">
${engine.banner(silent_since, known_at, is_old, "bot")}
<div class="state">
<div class="page-head">
<h1><bdi>${instance.name}</bdi></h1>
${bot.badge(instance)}
</div>
<p class="aside">Since <time datetime="${instance.status_since.isoformat()}">${date(instance.status_since)}</time></p>
<p class="reason"><bdi>${reason}</bdi>\
% if instance.operation and not instance.container_id:
 <a href="${own}/progress">See how far it has come</a>\
% endif
</p>
</div>
${bot.actions(instance, choices, "instance")}
<div class="two">
<section class="panel wide-panel" aria-labelledby="about">
<h2 id="about">About this bot</h2>
<dl class="facts">
<div class="with-buttons address"><dt>Address</dt><dd>\
% if address:
<span id="address">${address}</span> <span class="buttons">\
% if runs:
<a class="button small" id="open-address" href="${address}" target="_blank" rel="noopener">Open<span class="unseen"> the bot's own page in a new tab</span></a>\
% else:
<button class="button small" id="no-address" type="button" aria-disabled="true" title="It does not answer now." data-why="It does not answer now.">Open<span class="unseen"> the bot's own page</span></button>\
% endif
 <button class="button small needs-script" id="copy-address" type="button" data-copies="address">Copy<span class="unseen"> the address</span></button></span>\
% else:
It gets one when it runs.\
% endif
</dd></div>
<div><dt>Model</dt><dd>${labels.get(instance.model, instance.model)}</dd></div>
<div><dt>Channel</dt><dd>${labels.get(instance.channel, instance.channel)}</dd></div>
<div><dt>Runs</dt><dd>${labels.get(instance.blueprint, instance.blueprint)}</dd></div>
<div><dt>Created</dt><dd><time datetime="${instance.created_at.isoformat()}">${date(instance.created_at)}</time></dd></div>
<div><dt>Updated</dt><dd><time datetime="${instance.updated_at.isoformat()}">${date(instance.updated_at)}</time></dd></div>
<div class="with-buttons"><dt>Bot id</dt><dd><code id="bot-id">${instance.id}</code> <span class="buttons needs-script"><button class="button small" id="copy-bot-id" type="button" data-copies="bot-id">Copy<span class="unseen"> the bot's id</span></button></span></dd></div>
<div class="with-buttons"><dt>Container</dt><dd>\
% if instance.container_id:
<code id="container" title="${instance.container_id}" data-value="${instance.container_id}">${instance.container_id[:12]}</code> <span class="buttons needs-script"><button class="button small" id="copy-container" type="button" data-copies="container">Copy<span class="unseen"> the container's id</span></button></span>\
% else:
None yet\
% endif
</dd></div>
<div><dt>Port</dt><dd>${instance.host_port or "None yet"}</dd></div>
% for label, value in (("Region", instance.region), ("Instance type", instance.instance_type), ("IP address", instance.ip_address)):
% if value:
<div><dt>${label}</dt><dd><bdi>${value}</bdi></dd></div>
% endif
% endfor
</dl>
% if config:
<h3>Configuration</h3>
<pre class="config" tabindex="0" role="region" aria-label="Configuration"><code>${config}</code></pre>
% endif
</section>
<section class="panel wide-panel activity" aria-labelledby="activity">
<div class="activity-head">
<h2 id="activity">Activity</h2>
% if everything:
<a class="more" href="${own}#activity">Show less</a>
% elif hidden:
<a class="more" href="${own}?activity=all#activity">Show all</a>
% endif
</div>
% if happened:
<div class="happened" tabindex="0" role="group" aria-label="What has happened, newest first">
## With something new it is another list: one that only changed would count as moved.
<ol id="happened-${f'{happened[0].at.timestamp():.6f}'}">
% for one in happened:
<li><p class="aside"><time datetime="${one.at.isoformat()}">${date(one.at)}</time>${f", {one.who}" if one.who else ""}</p>
<p><bdi>${one.sentence}</bdi></p>
% if one.evidence:
<p class="aside"><bdi>${one.evidence}</bdi></p>
% endif
</li>
% endfor
</ol>
</div>
% else:
<p class="aside">Nothing has happened yet.</p>
% endif
</section>
</div>
</div>
</%block>
<% own = f"/dashboard/instances/{instance.id}" %>
${logs.section(instance, lines, own)}
<div class="two settings">
<section class="panel wide-panel" aria-labelledby="secrets">
<h2 id="secrets">Secrets</h2>
<p class="aside">They are stored encrypted and never shown again. A bot that runs is restarted when you change one, so that the old one is gone; its data stays.</p>
<ul class="secrets">
% for secret in secrets:
<li>
<div class="secret-head"><span class="secret-name">${secret.label}</span>
<span class="badge ${'running' if secret.is_set else ''}">${"Set" if secret.is_set else "Not set"}</span></div>
<details ${"open" if secret.name in errors else ""}>
<summary>${"Replace or remove" if secret.is_set else "Set"}<span class="unseen"> ${secret.label}</span></summary>
<form method="post" action="${own}/credentials" class="stack">
<input type="hidden" name="field" value="${secret.name}">
<div class="field">
<label for="value-${loop.index}">New ${secret.label}</label>
<input id="value-${loop.index}" name="value" type="password" required maxlength="${longest_secret}" autocomplete="off" spellcheck="false"\
 aria-describedby="help-${loop.index}${f' wrong-{loop.index}' if secret.name in errors else ''}"\
% if secret.name in errors:
 aria-invalid="true" autofocus\
% endif
>
<p class="aside" id="help-${loop.index}">${help.linked(secret.help)}</p>
% if secret.name in errors:
<p class="wrong" id="wrong-${loop.index}">${" ".join(errors[secret.name])}</p>
% endif
</div>
<div class="actions"><button class="button primary" type="submit">Save</button></div>
</form>
% if secret.is_set:
<form method="post" action="${own}/credentials">
<input type="hidden" name="field" value="${secret.name}">
<input type="hidden" name="remove" value="yes">
<button class="button danger" type="submit">Remove<span class="unseen"> ${secret.label}</span></button>
</form>
% endif
</details>
</li>
% endfor
</ul>
</section>
<section class="panel wide-panel" aria-labelledby="rename">
<h2 id="rename">Name</h2>
<form method="post" action="${own}/rename" class="stack">
<div class="field">
<label for="name">Instance Name</label>
<input id="name" name="name" required maxlength="${longest_name}" autocomplete="off" value="${typed_name}"\
% if "name" in errors:
 aria-invalid="true" aria-describedby="name-wrong" autofocus\
% endif
>
% if "name" in errors:
<p class="wrong" id="name-wrong">${" ".join(errors["name"])}</p>
% endif
</div>
<div class="actions"><button class="button" type="submit">Rename</button></div>
</form>
</section>
</div>
## The button of the toolbar asks with a dialog, which needs scripts.
<noscript>
<details class="panel wide-panel">
<summary>Delete this bot</summary>
<p>The bot stops, and its data, its settings and its secrets are removed. This cannot be undone.</p>
<form method="post" action="${own}/delete">
<input type="hidden" name="back" value="instance">
<button class="button danger" type="submit">Delete it for good</button>
</form>
</details>
</noscript>
