## The steps on the way to a running bot, each with its state, its time and what went wrong; needs steps.css.
<%!
    WORDS = {"todo": "not begun", "running": "going on", "done": "done", "failed": "failed"}


    def took(step):
        if step.seconds is None:
            return "already there" if (step.name, step.state) == ("image", "done") else ""
        if step.seconds < 60:
            if step.seconds < 0.1:
                return "under 0.1 s"
            return f"{step.seconds:.1f} s" if step.seconds < 10 else f"{step.seconds:.0f} s"
        return f"{step.seconds // 60:.0f} min {step.seconds % 60:.0f} s"
%>
<%def name="list(steps)">
<ol class="way">
% for step in steps:
<li class="way-step ${step.state}" id="step-${step.name}">
## Another mark or time is another element: one that only changed would count as moved.
<span class="way-mark" id="mark-${step.name}-${step.state}" aria-hidden="true"></span>
<span class="way-label" id="label-${step.name}">${step.label}<span class="unseen">: ${WORDS[step.state]}</span></span>
<span class="way-time" id="took-${step.name}-${took(step).replace(" ", "-")}">${took(step)}</span>
</li>
% endfor
</ol>
</%def>
