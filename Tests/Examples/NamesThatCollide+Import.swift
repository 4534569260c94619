import OtherFramework
import Testing

import struct ModelUtils.Graph
import struct ModelUtils.Module

func nodeCount(of module: Module) throws -> Int { try Graph(module).nodes.count }

@Suite struct NamesByImport {
  @Test func scoped() throws { #expect(try nodeCount(of: smallNet()) == 6) }
}
