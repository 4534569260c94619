/// The wrappers that PyTorch puts around a model to run it on several devices or compiled, by the name of the child
/// that is the model.
private let wrappers: [(className: String, child: String)] = [
  ("torch.nn.parallel.data_parallel.DataParallel", "module"),
  ("torch.nn.parallel.distributed.DistributedDataParallel", "module"),
  ("torch._dynamo.eval_frame.OptimizedModule", "_orig_mod"),
]

private func wrapped(_ module: Module) -> Module? {
  guard let wrapper = wrappers.first(where: { $0.className == module.className.description }) else { return nil }
  return module.children[wrapper.child]
}

/// Whether the module is a wrapper: DataParallel, DistributedDataParallel (YOLOv5's `is_parallel`), or what
/// torch.compile returns.
public func isParallel(_ module: Module) -> Bool { wrapped(module) != nil }

/// Whether every name bears a wrapper's prefix, `module.` or `_orig_mod.`.
public func isParallel(_ state: StateDict) -> Bool {
  ["module.", "_orig_mod."].contains { prefix in
    !state.names.isEmpty && state.names.allSatisfy { $0.hasPrefix(prefix) && $0.utf8.count > prefix.utf8.count }
  }
}

/// The model inside its wrappers, however many: YOLOv5's `de_parallel`, which takes one off and knows nothing of
/// torch.compile's.
public func deParallel(_ module: Module) -> Module {
  var module = module
  while let inner = wrapped(module) { module = inner }
  return module
}

/// The state dict without the prefixes of wrappers.
public func deParallel(_ state: StateDict) -> StateDict {
  var state = state
  state.removeWrapperPrefixes()
  return state
}
