//! What a request becomes for one candidate, after it was cleared for the candidate's zone.

use inhouse_chat::{ChatRequest, Real};
use inhouse_config::FallbackStrategy;
use inhouse_policy::Cleared;

use crate::candidate::Candidate;
use crate::text_tools;

/// Fills in what the candidate's configuration says where the request does not, and makes up for tools that the model
/// does not take. A request that needs none of this is not copied.
pub(crate) fn to_candidate(
    cleared: Cleared,
    candidate: &Candidate,
    strategy: FallbackStrategy,
) -> Cleared {
    let config = &candidate.member.config;
    let configured = config.max_tokens.is_some() || config.temperature.is_some();
    if !configured && !candidate.without_tools {
        return cleared;
    }
    cleared.adapt(|request| {
        request.max_tokens = request.max_tokens.or(config.max_tokens);
        let temperature = request.sampling.temperature;
        request.sampling.temperature = temperature.or(config.temperature.and_then(Real::new));
        if candidate.without_tools {
            without_tools(request, strategy);
        }
    })
}

fn without_tools(request: &mut ChatRequest, strategy: FallbackStrategy) {
    if strategy == FallbackStrategy::UseText {
        text_tools::describe(request);
    }
    request.tools.clear();
    request.tool_choice = None;
}
