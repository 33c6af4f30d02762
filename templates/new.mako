<%inherit file="signed_in.mako"/>
<%namespace name="help" file="components/help.mako"/>
<%block name="title">New bot</%block>
<%block name="scripts">
<link rel="stylesheet" href="${static('new.css')}">
<script src="${static('new.js')}" type="module"></script>
</%block>
## What is wrong with an input stands below it; the script fills the same paragraph that a page without scripts comes with.
<%def name="wrong(id, name)">\
<p class="wrong" id="wrong-${id}"\
% if name not in errors:
 hidden\
% endif
>${" ".join(errors.get(name, []))}</p>\
</%def>
<%def name="marks(id, name)">\
 aria-describedby="wrong-${id} help-${id}"\
% if name in errors:
 aria-invalid="true"\
% endif
% if len(errors) == 1 and name in errors:
 autofocus\
% endif
</%def>
## What belongs to one choice of a list; where scripts run, only what belongs to the chosen one is seen.
<%def name="belongs(list, value)">\
 data-of="${list}" data-value="${value}"\
% if values[list] == value:
 data-chosen\
% endif
</%def>
<%def name="list(name, options)">
<div class="field">
<label for="${name}">${form.places[name].label}</label>
<select id="${name}" name="${name}"${marks(name, name)}>
% for one in options:
<option value="${one.name}"\
% if one.name == values[name]:
 selected\
% endif
>${one.label}</option>
% endfor
</select>
${wrong(name, name)}
<div class="help" id="help-${name}">
${caller.body()}\
</div>
</div>
</%def>
<%def name="secret(id, name, label)">
<div class="field">
<div class="label"><label for="${id}">${label}</label><span class="optional">Optional</span></div>
<div class="concealed">
<input id="${id}" name="${name}" data-secret type="password" maxlength="${longest_secret}" autocomplete="off" autocapitalize="none" spellcheck="false"${marks(id, name)}>
<button class="reveal" type="button" data-reveals="${id}" hidden><span data-word>Show</span><span class="unseen"> ${label}</span></button>
</div>
${wrong(id, name)}
<div class="help" id="help-${id}">
${caller.body()}\
</div>
</div>
</%def>
<form class="new" id="new" method="post" action="/dashboard/new" autocomplete="off" aria-labelledby="title">
<input type="hidden" name="key" value="${values["key"]}">
<div class="new-head">
<h1 id="title">New bot</h1>
% if usage.most is not None and not usage.refusal:
<p class="lead" id="usage">You have ${usage.used} of ${usage.most} bots.</p>
% endif
<p class="lead">A name is enough to begin with. Tokens and keys are stored encrypted and never shown again.</p>
</div>
% if silent_since:
<p class="banner warning">Docker, the program that runs the bots, has not answered since <time datetime="${silent_since.isoformat()}">${date(silent_since)}</time>. A bot that you make now is started as soon as it does.</p>
% endif
% if usage.refusal:
<p class="banner warning" id="usage">${usage.refusal}</p>
% endif
<div class="summary" id="summary" role="group" aria-labelledby="trouble" tabindex="-1"\
% if not errors and not trouble:
 hidden\
% elif len(errors) != 1:
 autofocus\
% endif
>
<p id="trouble">${trouble or "Please correct this first:"}</p>
<ul id="wrongs">
% for name, sentences in errors.items():
% for sentence in sentences:
% if name in form.places:
<li><a href="#${form.places[name].id}">${form.places[name].label}: ${sentence}</a></li>
% else:
<li>${sentence}</li>
% endif
% endfor
% endfor
</ul>
% if secrets_lost:
<p id="secrets-lost">For safety this page never sends tokens and keys back, so please fill them in again.</p>
% endif
</div>
<div class="field">
<label for="name">${form.places["name"].label}</label>
<input id="name" name="name" required maxlength="${longest_name}" pattern=".*\S.*" title="Give the bot a name." value="${values["name"]}" placeholder="Family helper" autocomplete="off"${marks("name", "name")}>
${wrong("name", "name")}
<p class="help" id="help-name">What you call your bot. You can change it later.</p>
</div>
<%self:list name="model" options="${form.models}">
<p>What your bot thinks with.</p>
</%self:list>
<%self:secret id="${form.api_key.id}" name="${form.api_key.name}" label="${form.api_key.label}">
% for one in form.models:
<p${belongs("model", one.name)}><span class="which">${one.label}: </span>${help.linked(one.help)}</p>
% endfor
<p>Without a key the bot cannot think. You can also add it later.</p>
</%self:secret>
<%self:list name="channel" options="${form.channels}">
% for one in form.channels:
<p${belongs("channel", one.name)}><span class="which">${one.label}: </span>${help.linked(one.help)}</p>
% endfor
</%self:list>
% for channel in form.channels:
% if channel.inputs:
<fieldset class="part"${belongs("channel", channel.name)}>
<legend class="which">${channel.label}</legend>
% for one in channel.inputs.values():
<%self:secret id="${one.id}" name="${one.name}" label="${one.label}">
<p>${help.linked(one.help)}</p>
</%self:secret>
% endfor
</fieldset>
% endif
% endfor
% if form.blueprints:
<%self:list name="blueprint" options="${form.blueprints}">
% for one in form.blueprints:
<p${belongs("blueprint", one.name)}><span class="which">${one.label}: </span>${help.linked(one.help)}</p>
% endfor
</%self:list>
% endif
<div class="new-foot">
<button class="button primary" id="create" type="submit"\
% if usage.refusal:
 disabled\
% endif
><span class="spinner" aria-hidden="true"></span><span data-word>Create bot</span></button>
<a class="button" href="/dashboard">Cancel</a>
</div>
</form>
