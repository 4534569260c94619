import ModelCore
import ModelGraph

extension Forward {
  /// RepVGG's own code, with branches or deployed, and RepVGGplus.
  static let repVGG: [String: Forward] = [
    "repvgg.RepVGGBlock": Forward { block, x in
      try block.chain(block.reparameterized(x), block.has("se") ? ["se", "nonlinearity"] : ["nonlinearity"])
    },
    "repvgg.RepVGG": Forward { net, x in
      let x = try (1...4).reduce(net(x, "stage0")) { try net.inOrder($0, "stage\($1)") }
      return try net(net.flatten(net(x, "gap")), "linear")
    },
    // It pools squares as wide as the picture.
    "se_block.SEBlock": Forward { block, x in
      let shape = try block.shape(of: x)
      guard shape.count == 4, shape[3] <= shape[2], shape[2] < 2 * shape[3] else {
        throw ModelError(.unsupported, "does not squeeze pictures of the shape \(shape)", subject: block.path)
      }
      let square = shape[2] == shape[3] ? x : try block.slice(x, axis: 2, to: shape[3])
      let mean = try block.mean(square, axes: [2, 3], keepsAxes: true)
      return try block.multiply(x, block.sigmoid(block(block.relu(block(mean, "down")), "up")))
    },
    // Beside its picture it passes on a penalty for the weights, which in training depends on what the running variances
    // have become.
    "repvggplus.RepVGGplusBlock": Forward.lists { block, inputs in
      guard let x = inputs.first, inputs.count <= 2 else {
        throw ModelError(.mismatch, "takes one tensor or two, not \(inputs.count)", subject: block.path)
      }
      let y = try block(block.reparameterized(x), "nonlinearity", "post_se")
      if try block.bool("deploy") { return [y] }
      let penalty = try block.weightPenalty()
      return [y, inputs.count == 2 ? try block.add(inputs[1], penalty) : penalty]
    }.inferenceOnly,
    "repvggplus.RepVGGplusStage": .lists { stage, inputs in
      try stage.list("blocks").reduce(inputs) { try stage.call($1, $0) }
    },
    // With branches it gives the scores, those of three auxiliary heads and the penalty.
    "repvggplus.RepVGGplus": .lists { net, inputs in
      var (values, auxiliary): ([Graph.Value], [Graph.Value]) = (inputs, [])
      let isDeployed = try net.bool("deploy")
      for stage in ["stage0", "stage1", "stage2", "stage3_first", "stage3_second", "stage4"] {
        values = try net.call(stage, values)
        guard !isDeployed, ["stage1", "stage2", "stage3_first"].contains(stage) else { continue }
        auxiliary.append(try net(values[0], "\(stage)_aux"))
      }
      guard let x = values.first else { throw ModelError(.mismatch, "has no input", subject: net.path) }
      return [try net(net.flatten(net(x, "gap")), "linear")] + auxiliary + (isDeployed ? [] : values.dropFirst())
    },
  ]
}

extension ForwardCall {
  /// The children of a list or a Sequential; the list is not called itself.
  fileprivate func inOrder(_ x: Value, _ child: String) throws -> Value {
    guard case .container? = module[child]?.layer else { return try self(x, child) }
    return try chain(x, list(child))
  }

  /// The squares of the larger kernel but for its middle, and those of the middle of what both kernels give together.
  fileprivate func weightPenalty() throws -> Value {
    func total(_ x: Value) throws -> Value { try emit(.reduce(.sum, axes: [0, 1, 2, 3], keepsAxes: false), x) }
    func scale(_ branch: String) throws -> Value {
      guard case .batchNorm(let norm)? = module["\(branch).bn"]?.layer else { throw missing("\(branch).bn") }
      let deviation = try unary(.sqrt, add(weight("\(branch).bn.running_var"), norm.eps))
      let scale = try divide(weight("\(branch).bn.weight"), deviation)
      return try reshape(scale, [.inferred, .fixed(1), .fixed(1), .fixed(1)])
    }
    let (large, small) = (try weight("rbr_dense.conv.weight"), try weight("rbr_1x1.conv.weight"))
    let (outer, inner) = (try scale("rbr_dense"), try scale("rbr_1x1"))
    let middle = try slice(slice(large, axis: 2, from: 1, to: 2), axis: 3, from: 1, to: 2)
    let ring = try subtract(total(unary(.square, large)), total(unary(.square, middle)))
    let both = try add(multiply(middle, outer), multiply(small, inner))
    let sizes = try add(unary(.square, outer), unary(.square, inner))
    return try add(ring, total(divide(unary(.square, both), sizes)))
  }
}
