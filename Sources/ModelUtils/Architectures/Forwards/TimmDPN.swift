import ModelCore

extension Forward {
  /// timm's dual path networks.
  static let timmDPN: [String: Forward] = [
    "timm.models.dpn.DPN": Forward { net, x in
      try net(net.dropped(net(x, "features", "global_pool")), "classifier", "flatten")
    },
    "timm.models.dpn.BnAct": .chain("bn"), "timm.models.dpn.BnActConv2d": .chain("bn", "conv"),
    "timm.models.dpn.DualPathBlock": Forward { try $0.dualPath($1) },
  ]
}

extension ForwardCall {
  /// A residual path and one of channels that are only ever added to the end.
  fileprivate func dualPath(_ x: Value) throws -> Value {
    let residual = try int("num_1x1_c")
    func parts(_ x: Value) throws -> (Value, Value) {
      (try slice(x, axis: 1, to: residual), try slice(x, axis: 1, from: residual))
    }
    let shortcut = try ["c1x1_w_s1", "c1x1_w_s2"].first(where: has).map { try self(x, $0) } ?? x
    let y = try self(x, "c1x1_a", "c3x3_b", "c1x1_c")
    let new = try has("c1x1_c1") && has("c1x1_c2") ? (self(y, "c1x1_c1"), self(y, "c1x1_c2")) : parts(y)
    let old = try parts(shortcut)
    return try concatenate([add(old.0, new.0), old.1, new.1])
  }
}
