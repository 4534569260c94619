extension StateDict {
  /// Whether an entry is a parameter as far as a bare state dict tells: floating, and no running statistics of a batch
  /// norm, mask of pruning, vector of spectral norm, counter that thop left, nor one of `buffers`.
  package func isParameter(_ name: String) -> Bool {
    guard let tensor = tensors[name], tensor.dtype.isFloatingPoint, !buffers.contains(name), !isCounter(name),
      !isMask(name)
    else {
      return false
    }
    let last = name.split(separator: ".").last ?? ""
    if ["running_mean", "running_var", "num_batches_tracked"].contains(last) { return false }
    guard last.hasSuffix("_u") || last.hasSuffix("_v") else { return true }
    return tensors[name.dropLast(2) + "_orig"] == nil && !(last.count == 2 && name.contains("parametrizations."))
  }

  /// The averages that mmcv's EMAHook keeps as buffers beside the weights, such as `ema_backbone_conv1_weight` of
  /// `backbone.conv1.weight`.
  package var hookAverages: Set<String> {
    let averages = names.filter { $0.hasPrefix("ema_") && !$0.utf8.contains(UInt8(ascii: ".")) }
    if averages.isEmpty { return [] }
    let twins = Set(names.map { name in "ema_" + String(name.map { $0 == "." ? "_" : $0 }) })
    return Set(averages.filter(twins.contains))
  }

  /// Whether an entry is what `thop.profile` leaves in every layer: `total_ops` or `total_params`.
  package func isCounter(_ name: String) -> Bool {
    (name.hasSuffix("total_ops") || name.hasSuffix("total_params"))
      && tensors[name].map { $0.dtype == .float64 && $0.count == 1 && $0.shape.count < 2 } ?? false
  }

  /// The dotted prefixes that every name bears, the empty one first: what wrappers and training frameworks call the
  /// model in them (`module.`, `net.`, `module.backbone.`).
  package var commonPrefixes: [String] {
    guard let first = names.first else { return [""] }
    var prefixes = [""]
    for dot in first.utf8.indices where first.utf8[dot] == UInt8(ascii: ".") && prefixes.count < Self.prefixDepth {
      let prefix = String(first[...dot])
      guard names.allSatisfy({ $0.hasPrefix(prefix) && $0.utf8.count > prefix.utf8.count }) else { break }
      prefixes.append(prefix)
    }
    return prefixes
  }

  /// More than the wrappers around any model.
  private static let prefixDepth = 8

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
