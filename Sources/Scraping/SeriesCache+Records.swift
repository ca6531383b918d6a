import Exposition

/// Which series have a record: those that the sink knows, one for all that rules drop, and one for all that the guard
/// refuses.
extension SeriesCache {
  /// The record of a label set, which may be known in another spelling; that of all refused ones when the guard has no
  /// room for it.
  mutating func register(_ labels: LabelSet, _ metadata: MetricMetadata?) -> Int32 {
    guard quota != nil else { return take(labels, metadata, number: SeriesQuota.none) }
    let number = quota?.take(labels)
    if number == nil, !isKnown(labels) { return refusedRecord() }
    return take(labels, metadata, number: number ?? SeriesQuota.none)
  }

  /// - Parameter number: by which the guard knows the series.
  mutating func take(_ labels: LabelSet, _ metadata: MetricMetadata?, number: UInt32) -> Int32 {
    let series = sink.register(labels, metadata)
    if let series {
      indexSeries()
      if let known = recordBySeries[series] {
        // The sink counts registrations; one is enough.
        released.append(series)
        quota?.giveBack(number)
        return known
      }
    }
    var record = Record(series: series ?? SeriesID(rawValue: 0))
    record.isRefused = series == nil
    let index: Int32
    if let reused = free.popLast() {
      index = reused
      records[Int(index)] = record
      values?[Int(index)] = .staleMarker
    } else {
      index = Int32(truncatingIfNeeded: records.count)
      records.append(record)
      values?.append(.staleMarker)
    }
    if let series {
      recordBySeries[series] = index
      quota?.set(number, of: Int(index))
    } else {
      quota?.giveBack(number)
    }
    created.append(index)
    return index
  }

  private mutating func indexSeries() {
    guard recordBySeries.isEmpty else { return }
    for index in records.indices where !records[index].isFree && !records[index].isRefused {
      recordBySeries[records[index].series] = Int32(truncatingIfNeeded: index)
    }
  }

  /// Whether the target has the series already.
  private mutating func isKnown(_ labels: LabelSet) -> Bool {
    guard let series = sink.find(labels) else { return false }
    indexSeries()
    return recordBySeries[series] != nil
  }

  /// The record of all series that rules drop.
  mutating func droppedRecord() -> Int32 {
    let index = dropped ?? addDroppedRecord()
    dropped = index
    return index
  }

  /// The record of all series that the guard refuses.
  private mutating func refusedRecord() -> Int32 {
    let index = quota?.record ?? addDroppedRecord()
    quota?.record = index
    return index
  }

  private mutating func addDroppedRecord() -> Int32 {
    var record = Record(series: SeriesID(rawValue: 0))
    record.isRefused = true
    record.isDropped = true
    record.isPinned = true
    records.append(record)
    values?.append(.staleMarker)
    return Int32(truncatingIfNeeded: records.count - 1)
  }

  mutating func release(_ index: Int) {
    if !records[index].isRefused { released.append(records[index].series) }
    quota?.giveBack(record: index)
    records[index].isFree = true
    if !exemplars.isEmpty { exemplars[Int32(truncatingIfNeeded: index)] = nil }
    if !starts.isEmpty { starts[Int32(truncatingIfNeeded: index)] = nil }
    free.append(Int32(truncatingIfNeeded: index))
  }
}
