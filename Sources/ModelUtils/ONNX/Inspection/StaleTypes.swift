import ModelCheckpoints
import ModelCore
import ModelGraph

/// What a file records of a value, where what is computed is another.
struct StaleType {
  let name: String
  let recorded: ONNXValueInfo.Kind
  let computed: ONNXValueInfo.Kind
  /// Whether the type of the elements differs, and not the shape alone.
  let isType: Bool
}

extension ONNXModel {
  /// The values of the main graph whose recorded type or shape contradicts what follows from the inputs; outputs among
  /// them.
  ///
  /// An axis with a name or without a length contradicts nothing. Nor does a length where the computed one follows from
  /// open sizes of the inputs: the model is followed for two sizes, and axes that differ are passed over. What cannot be
  /// sized is not looked at.
  func contradictedTypes() -> [StaleType] {
    guard let trace = try? trace() else { return [] }
    let isOpen = openInputs.contains { input in
      guard case .tensor(_, let shape?) = input.kind else { return true }
      return !shape.allSatisfy { if case .fixed(let length) = $0 { length > 0 } else { false } }
    }
    let other = isOpen ? try? self.trace(otherSizes(trace)) : trace
    var seen: Set<String> = []
    return (graph.valueInfo + graph.outputs).compactMap { info -> StaleType? in
      guard seen.insert(info.name).inserted, case .tensor(let element, let recorded) = info.kind,
        let type = trace.types[info.name], let computed = ONNXElementType(type.dtype)
      else { return nil }
      let lengths = other?.types[info.name]?.shape
      let shape = type.shape.enumerated().map { axis, length -> ONNXValueInfo.Dimension in
        lengths?.count == type.shape.count && lengths?[axis] == length ? .fixed(length) : .unknown
      }
      let isType = element.dtype != nil && element != computed
      guard isType || recorded.map({ !$0.agrees(with: shape) }) ?? false else { return nil }
      return StaleType(
        name: info.name, recorded: info.kind, computed: .tensor(computed, shape: shape), isType: isType)
    }
  }

  /// Other sizes for what the inputs leave open.
  private func otherSizes(_ trace: ONNXTrace) -> ONNXInputs {
    var inputs = ONNXInputs()
    inputs.batchSize = 3
    let size = trace.inputs.lazy.map(\.type.shape).first { $0.count == 4 }?.suffix(2) ?? [224, 224]
    // Strides of 32 and of 64 divide both.
    inputs.imageSize = size.map { $0 + 64 }
    return inputs
  }
}

extension [ONNXValueInfo.Dimension] {
  /// Whether no number contradicts another.
  fileprivate func agrees(with other: Self) -> Bool {
    count == other.count
      && zip(self, other).allSatisfy { pair in
        // Old exporters write 0 or -1 for an open axis.
        guard case (.fixed(let a), .fixed(let b)) = pair, a > 0 else { return true }
        return a == b
      }
  }
}
