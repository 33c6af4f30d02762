## What a bot writes. The lines that come with the page are its last ones; static/logs.js goes on from there.
<%def name="section(instance, lines, own)">
<section class="panel wide-panel logs" aria-labelledby="logs-title" data-logs="/api/instances/${instance.id}/logs">
<div class="logs-head">
<h2 id="logs-title">Logs</h2>
<p class="aside" data-logs-state>\
% if not instance.container_id:
There are no logs yet: the bot has no container.\
% elif instance.reason == "container_missing":
There are no logs any more: they went with its container.\
% elif lines is None:
The logs could not be read in time.<noscript> Load the page again to see them.</noscript>\
% elif lines:
The last ${f"{len(lines)} lines" if len(lines) > 1 else "line"}\
% else:
Nothing was written yet.\
% endif
</p>
</div>
<div class="logs-tools needs-script">
<label class="unseen" for="logs-search">Show only lines that contain</label>
<input id="logs-search" type="search" placeholder="Show only lines that contain…" autocomplete="off" spellcheck="false" maxlength="200">
<button class="button small" type="button" data-logs-pause>Pause</button>
<button class="button small" type="button" data-logs-wrap aria-pressed="true">Wrap lines</button>
<button class="button small" type="button" data-logs-copy>Copy<span class="unseen"> the lines that are shown</span></button>
<a class="button small" href="${own}/logs.txt" data-logs-download ${"" if instance.container_id else "hidden"}>Download</a>
</div>
<div class="logs-frame">
<div class="logs-view wrapped" tabindex="0" role="region" aria-label="Log lines" data-logs-view><div data-logs-lines>\
% for line in lines or ():
<div class="line">${line}</div>\
% endfor
</div></div>
<button class="button small logs-latest" type="button" data-logs-latest hidden>Jump to the latest</button>
</div>
<noscript><p class="actions"><a class="button small" href="${own}#logs-title">Reload</a> <a class="button small" href="${own}/logs.txt">Download</a></p></noscript>
</section>
</%def>
