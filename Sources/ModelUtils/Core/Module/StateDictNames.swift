extension StateDict {
  /// Whether an entry is a parameter as far as a bare state dict tells: floating, no running statistics of a batch norm,
  /// and none of `buffers`.
  package func isParameter(_ name: String, _ tensor: Tensor) -> Bool {
    let last = name.split(separator: ".").last ?? ""
    return !buffers.contains(name) && tensor.dtype.isFloatingPoint
      && !["running_mean", "running_var", "num_batches_tracked"].contains(last)
  }

  /// The wrappers' prefixes that every name bears, taken off: `module.` of DataParallel and `_orig_mod.` of
  /// torch.compile, in any order.
  /// - Returns: what was taken off, empty where nothing was.
  @discardableResult
  public mutating func removeWrapperPrefixes() -> String {
    var removed = ""
    while let prefix = ["module.", "_orig_mod."].first(where: { prefix in
      !names.isEmpty && names.allSatisfy { $0.hasPrefix(prefix) && $0.utf8.count > prefix.utf8.count }
    }) {
      tensors = OrderedDictionary(
        uniqueKeysWithValues: tensors.map { (String($0.key.dropFirst(prefix.count)), $0.value) })
      removed += prefix
    }
    return removed
  }
}
