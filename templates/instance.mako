<%inherit file="signed_in.mako"/>
<%namespace name="bot" file="components/bot.mako"/>
<%block name="title">${instance.name}</%block>
<%block name="scripts">
<link rel="stylesheet" href="${static('instance.css')}">
<script src="${static('live.js')}" type="module"></script>
<script src="${static('copy.js')}" type="module"></script>
<script src="${static('logs.js')}" type="module"></script>
</%block>
<p class="way-back"><a href="/dashboard">Back to Dashboard</a> <span class="aside needs-script" data-updated>Updated just now</span></p>
<%block name="live">
<div id="live" class="live${' stale' if silent_since else ''}" hx-ext="morph" hx-get="/dashboard/instances/${instance.id}" hx-trigger="refresh, changed from:body" hx-swap="morph:outerHTML" hx-sync="this:replace" data-changing="${int(changing)}">
% if silent_since:
<p class="banner warning">Docker has not answered since ${date(silent_since)}. What you see is what was last known; your bot may well be running.</p>
% endif
<div class="page-head">
<h1><bdi>${instance.name}</bdi></h1>
${bot.badge(instance)}
</div>
<p class="reason">\
% if instance.detail:
<bdi>${instance.detail}</bdi> \
% endif
<span class="aside">Since <time datetime="${instance.status_since.isoformat()}">${date(instance.status_since)}</time></span></p>
% if instance.operation and not instance.container_id:
<p><a href="/dashboard/instances/${instance.id}/progress">See how far it has come</a></p>
% endif
${bot.actions(instance, choices, "instance")}
<div class="two">
<section class="panel wide-panel" aria-labelledby="about">
<h2 id="about">About this bot</h2>
<dl class="facts">
<div><dt>Address</dt><dd>\
% if address:
<a href="${address}" id="address" target="_blank" rel="noopener">${address}</a> <a class="button small" href="${address}" target="_blank" rel="noopener">Open<span class="unseen"> the bot's own page</span></a> <button class="button small needs-script" type="button" data-copies="address">Copy<span class="unseen"> the address</span></button>\
% else:
It gets one when it runs.\
% endif
</dd></div>
<div><dt>Model</dt><dd>${labels.get(instance.model, instance.model)}</dd></div>
<div><dt>Channel</dt><dd>${labels.get(instance.channel, instance.channel)}</dd></div>
<div><dt>Runs</dt><dd>${labels.get(instance.blueprint, instance.blueprint)}</dd></div>
<div><dt>Created</dt><dd><time datetime="${instance.created_at.isoformat()}">${date(instance.created_at)}</time></dd></div>
<div><dt>Updated</dt><dd><time datetime="${instance.updated_at.isoformat()}">${date(instance.updated_at)}</time></dd></div>
<div><dt>Bot id</dt><dd><code id="bot-id">${instance.id}</code></dd></div>
<div><dt>Container</dt><dd>\
% if instance.container_id:
<code id="container" title="${instance.container_id}" data-value="${instance.container_id}">${instance.container_id[:12]}</code> <button class="button small needs-script" type="button" data-copies="container">Copy<span class="unseen"> the container's id</span></button>\
% else:
None\
% endif
</dd></div>
% if instance.host_port:
<div><dt>Port</dt><dd>${instance.host_port}</dd></div>
% endif
% for label, value in (("Region", instance.region), ("Instance type", instance.instance_type), ("IP address", instance.ip_address)):
% if value:
<div><dt>${label}</dt><dd><bdi>${value}</bdi></dd></div>
% endif
% endfor
</dl>
% if config:
<h3>Configuration</h3>
<pre tabindex="0" aria-label="Configuration"><code>${config}</code></pre>
% endif
</section>
<section class="panel wide-panel" aria-labelledby="activity">
<h2 id="activity">Activity</h2>
% if happened:
<ol class="happened" tabindex="0" aria-labelledby="activity">
% for one in happened:
<li><p><bdi>${one.sentence}</bdi></p>
<p class="aside">${f"{one.who}, " if one.who else ""}<time datetime="${one.at.isoformat()}">${date(one.at)}</time></p></li>
% endfor
</ol>
% else:
<p class="aside">Nothing has happened yet.</p>
% endif
</section>
</div>
</div>
</%block>
<section class="panel wide-panel logs" aria-labelledby="logs-title" data-logs="/api/instances/${instance.id}/logs?tail=1000">
<div class="logs-head">
<h2 id="logs-title">Logs</h2>
<p class="aside" data-logs-state></p>
</div>
<div class="logs-tools needs-script">
<label class="unseen" for="logs-search">Show only lines that contain</label>
<input id="logs-search" type="search" placeholder="Show only lines that contain…" autocomplete="off" maxlength="200">
<button class="button small" type="button" data-logs-pause aria-pressed="false">Pause</button>
<button class="button small" type="button" data-logs-wrap aria-pressed="true">Wrap lines</button>
<button class="button small" type="button" data-logs-copy>Copy</button>
<a class="button small" href="/dashboard/instances/${instance.id}/logs.txt" download>Download</a>
</div>
<div class="logs-frame needs-script">
<div class="logs-view wrapped" tabindex="0" role="region" aria-label="Log lines" data-logs-view></div>
<button class="button small logs-latest" type="button" data-logs-latest hidden>Jump to the latest</button>
</div>
<noscript><p><a href="/dashboard/instances/${instance.id}/logs.txt">Download the logs</a></p></noscript>
</section>
<div class="two">
<section class="panel wide-panel" aria-labelledby="secrets">
<h2 id="secrets">Secrets</h2>
<p class="aside">They are stored encrypted and never shown again. A replaced one reaches the bot at its next restart; one that it did not have before, when its container is made anew.</p>
<ul class="secrets">
% for secret in secrets:
<li>
<div class="secret-head"><span class="secret-name">${secret.label}</span>
<span class="badge ${'running' if secret.is_set else ''}">${"Set" if secret.is_set else "Not set"}</span></div>
<details ${"open" if secret.name in errors else ""}>
<summary>${"Replace or remove" if secret.is_set else "Set"}<span class="unseen"> ${secret.label}</span></summary>
<form method="post" action="/dashboard/instances/${instance.id}/credentials" class="stack">
<input type="hidden" name="field" value="${secret.name}">
<div class="field">
<label for="value-${secret.name}">New ${secret.label}</label>
<input id="value-${secret.name}" name="value" type="password" required maxlength="${longest_secret}" autocomplete="off" spellcheck="false"\
 aria-describedby="help-${secret.name}${f' wrong-{secret.name}' if secret.name in errors else ''}"\
% if secret.name in errors:
 aria-invalid="true" autofocus\
% endif
>
<p class="aside" id="help-${secret.name}">${secret.help}</p>
% if secret.name in errors:
<p class="wrong" id="wrong-${secret.name}">${" ".join(errors[secret.name])}</p>
% endif
</div>
<div class="actions"><button class="button primary" type="submit">Save</button></div>
</form>
% if secret.is_set:
<form method="post" action="/dashboard/instances/${instance.id}/credentials">
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
<form method="post" action="/dashboard/instances/${instance.id}/rename" class="stack">
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
