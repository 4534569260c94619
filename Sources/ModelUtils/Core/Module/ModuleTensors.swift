extension Module {
  /// Replaces tensors by their dotted names, in every place where the parameter or the buffer stands.
  ///
  /// Of two names of one shared parameter the last in the state dict's order counts, as in `load_state_dict`.
  /// - Parameter includesNonPersistent: whether buffers that a state dict leaves out are asked for too.
  package mutating func setTensors(includesNonPersistent: Bool = false, _ new: (String) -> Tensor?) {
    var parameters: [Identity: Tensor] = [:]
    var buffers: [Tensor.Identity: Tensor] = [:]
    collect("", includesNonPersistent, new, &parameters, &buffers)
    updateModules { _, module in
      for index in module.parameters.values.indices {
        guard let tensor = parameters[module.parameters.values[index].identity] else { continue }
        module.parameters.values[index].tensor = tensor
      }
      for index in module.buffers.values.indices {
        guard let tensor = buffers[module.buffers.values[index].identity] else { continue }
        module.buffers.values[index] = tensor
      }
    }
  }

  private func collect(
    _ prefix: String, _ includesNonPersistent: Bool, _ new: (String) -> Tensor?,
    _ parameters: inout [Identity: Tensor], _ buffers: inout [Tensor.Identity: Tensor]
  ) {
    for (name, parameter) in self.parameters {
      if let tensor = new(prefix + name) { parameters[parameter.identity] = tensor }
    }
    for (name, buffer) in self.buffers where includesNonPersistent || !nonPersistentBuffers.contains(name) {
      if let tensor = new(prefix + name) { buffers[buffer.identity] = tensor }
    }
    for (name, child) in children {
      child.collect("\(prefix)\(name).", includesNonPersistent, new, &parameters, &buffers)
    }
  }

  /// The buffers that a state dict leaves out, by their dotted names, each once, in the order of `buffers()`.
  package func nonPersistentTensors() -> OrderedDictionary<String, Tensor> {
    var tensors: OrderedDictionary<String, Tensor> = [:]
    var seen: Set<Tensor.Identity> = []
    forEachModule { path, module in
      for (name, buffer) in module.buffers
      where module.nonPersistentBuffers.contains(name) && seen.insert(buffer.identity).inserted {
        tensors[dotted(path, name)] = buffer
      }
    }
    return tensors
  }
}
