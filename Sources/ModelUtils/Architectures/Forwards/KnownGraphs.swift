import ModelCore

extension Graph {
  /// What is known of how a module runs: its graph; and for every part whose forward is not known (a single node
  /// there), the graphs of that part's children, each taken alone. No module is traced twice, and a hostile tree is
  /// left when it becomes too large.
  package static func known(in root: Module) -> [Graph] {
    var graphs: [Graph] = []
    var traced: Set<Identity> = []
    var budget = 4 * nodeLimit
    var open: [(path: String, module: Module)] = [("", root)]
    while budget > 0, let (path, module) = open.popLast() {
      guard traced.insert(module.identity).inserted else { continue }
      var unknown = [(path: path, module: module)]
      let tracer = ForwardTracer(.inference)
      do {
        try tracer.trace(module, path: path)
        graphs.append(tracer.graph)
        unknown = tracer.unknown
      } catch {
        // It takes more than one tensor, or what an unknown class gives it does not fit: its parts may still be known.
      }
      budget -= tracer.graph.nodes.count + 1
      for (path, module) in unknown.reversed() {
        traced.insert(module.identity)
        for (name, child) in module.children.reversed() {
          open.append((path.isEmpty ? name : "\(path).\(name)", child))
        }
      }
    }
    return graphs
  }
}
