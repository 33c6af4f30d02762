## A help text, in which addresses such as t.me/BotFather are links.
<%!
    from clawdeploy.web.pages.links import addresses
%>
<%def name="linked(text)">\
% for said, leads_to in addresses(text):
% if leads_to:
<a href="${leads_to}" target="_blank" rel="noopener noreferrer">${said}</a>\
% else:
${said}\
% endif
% endfor
</%def>
