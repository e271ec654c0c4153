//! What an expression reads, and what the Amazon States Language forbids in it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jlens_core::ast::Stage;
use jlens_core::{Ast, Node, NodeKind};

use crate::eval::Facts;
use crate::functions;

static BUILT_IN: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let catalog = jlens_core::function_catalog().into_iter().map(|function| function.name);
    catalog.chain(functions::ADDED).collect()
});

/// Walks the tree once.
pub(crate) fn facts(ast: &Ast) -> Facts {
    let mut walk = Walk { facts: Facts::default(), bound: Vec::new(), within: false };
    walk.node(&ast.root);
    walk.facts
}

struct Walk {
    facts: Facts,
    /// Variables that the expression itself binds, innermost last.
    bound: Vec<String>,
    /// Whether a path, predicate or sort around the node gives it a context of its own.
    within: bool,
}

impl Walk {
    fn node(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::Variable { name } => self.variable(name),
            NodeKind::Name { name } => self.bare_name(name),
            NodeKind::Wildcard | NodeKind::Descendant | NodeKind::Parent { .. } if !self.within => {
                self.refuse("reads a context that the top level does not have; use $states.input");
            }
            NodeKind::Fallback { op, .. } => {
                self.refuse(&format!("uses the operator {}, which AWS rejects", op.symbol()));
                self.children(node);
            }
            NodeKind::Path { steps, .. } => self.path(steps),
            NodeKind::Bind { lhs, rhs } => {
                // Bound first: a function may call itself.
                if let NodeKind::Variable { name } = &lhs.kind {
                    self.bound.push(name.clone());
                }
                self.node(rhs);
            }
            NodeKind::Block { exprs, .. } => {
                let depth = self.bound.len();
                exprs.iter().for_each(|expr| self.node(expr));
                self.bound.truncate(depth);
            }
            NodeKind::Lambda(definition) => {
                let depth = self.bound.len();
                self.bound.extend(definition.params.iter().cloned());
                self.node(&definition.body);
                self.bound.truncate(depth);
            }
            NodeKind::Transform(_) | NodeKind::Sort { .. } => {
                self.with_context(|walk| walk.children(node));
            }
            _ => self.children(node),
        }
        self.attributes(node);
    }

    /// The direct children that are not predicates or groups, which `attributes` walks.
    fn children(&mut self, node: &Node) {
        let mut plain = node.clone();
        plain.attrs = Default::default();
        plain.for_each_child(|child| self.node(child));
    }

    fn attributes(&mut self, node: &Node) {
        let attrs = &node.attrs;
        self.bound.extend(attrs.focus.iter().chain(&attrs.index).cloned());
        for stage in attrs.stages.iter().chain(&attrs.predicate) {
            match stage {
                Stage::Filter { expr, .. } => self.with_context(|walk| walk.node(expr)),
                Stage::Index { var, .. } => self.bound.push(var.clone()),
            }
        }
        if let Some(group) = &attrs.group {
            self.with_context(|walk| {
                for (key, value) in &group.pairs {
                    walk.node(key);
                    walk.node(value);
                }
            });
        }
    }

    fn path(&mut self, steps: &[Node]) {
        let depth = self.bound.len();
        let mut names_its_field = false;
        if let [first, second, ..] = steps
            && matches!(&first.kind, NodeKind::Variable { name } if name == "states")
            && let NodeKind::Name { name } | NodeKind::String { value: name } = &second.kind
        {
            self.facts.states_fields.insert(name.clone());
            // A predicate of $states sees all of it, and so may what follows a focus or a `%`.
            let predicates = [first.attrs.stages.len(), first.attrs.predicate.len()];
            let looks_back = [first, second].iter().any(|step| step.attrs.tuple);
            names_its_field = predicates == [0, 0] && first.attrs.group.is_none() && !looks_back;
        }
        for (index, step) in steps.iter().enumerate() {
            if index == 0 && names_its_field {
                self.facts.names.insert("states".to_owned());
            } else if index == 0 {
                self.node(step);
            } else {
                self.with_context(|walk| walk.node(step));
            }
        }
        self.bound.truncate(depth);
    }

    fn with_context(&mut self, walk: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.within, true);
        walk(self);
        self.within = outer;
    }

    fn variable(&mut self, name: &str) {
        self.facts.names.insert(name.to_owned());
        self.facts.reads_whole_states |= name == "states";
        match name {
            "" if self.within => {}
            "" => self.refuse("uses $ at the top level; use $states.input"),
            "$" => self.refuse("uses $$; use $states.input"),
            "states" => {}
            "eval" => self.refuse("uses $eval, which AWS does not have; use $parse"),
            _ if self.bound.iter().any(|bound| bound == name) => {}
            _ if BUILT_IN.contains(name) => {
                self.facts.random |= functions::RANDOM.contains(&name);
            }
            _ => {
                self.facts.variables.insert(name.to_owned());
            }
        }
    }

    fn bare_name(&mut self, name: &str) {
        if !self.within {
            self.refuse(&format!(
                "reads the field `{name}` of a context that the top level does not have; \
                 use $states.input"
            ));
        }
    }

    fn refuse(&mut self, sentence: &str) {
        self.facts.refusals.push(sentence.to_owned());
    }
}
