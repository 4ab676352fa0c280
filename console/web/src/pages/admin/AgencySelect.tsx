/** Choosing an agency, or several, by name. */
import { Select } from 'antd';

import { useOrganizations } from '../../api/places';
import { useWords } from '../../i18n';

interface Props {
  value?: string | string[] | null;
  onChange?: (value: string | string[] | null) => void;
  several?: boolean;
  /** The word for "no agency in particular"; absent: an agency must be chosen. */
  everywhere?: string;
  id?: string;
}

export function AgencySelect({ value, onChange, several = false, everywhere, id }: Props) {
  const { pick } = useWords();
  const { data } = useOrganizations();
  const options = (data ?? []).map((item) => ({ value: item.id, label: pick(item.name, item.name_en) }));
  return (
    <Select
      {...(id === undefined ? {} : { id })}
      {...(several ? { mode: 'multiple' as const } : {})}
      value={value === '' || value === undefined ? null : value}
      onChange={(next: string | string[] | null) => onChange?.(next)}
      allowClear={everywhere !== undefined}
      placeholder={everywhere}
      showSearch={{ optionFilterProp: 'label' }}
      options={options}
    />
  );
}
